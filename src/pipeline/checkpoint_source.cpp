#include <system_error>

#include "core/attempt.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/text/clip_tokenizer_files.hpp"
#include "daguerre/text/tokenizer_folders.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "daguerre/weights/gguf.hpp"
#include "pipeline/gguf_tokenizer.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

weights::CheckpointOptions checkpoint_options(const SourceOptions& options) {
  return {.family = options.family,
          .configs = options.configs,
          .prediction_type = options.prediction_type,
          .ema = options.ema,
          .variant = options.variant,
          .file = {.allow_trailing_bytes = options.allow_trailing_bytes}};
}

/// Why `checkpoint` makes no pictures, and what to do.
std::string not_a_model(const weights::Checkpoint& checkpoint) {
  std::string missing;
  for (const auto& part : weights::missing_in_words(checkpoint))
    missing += (missing.empty() ? "" : ", and ") + part;
  const std::string what = checkpoint.source + " is " + checkpoint.title;
  if (checkpoint.pipeline_class.empty())
    return what + "; it makes no pictures by itself: give a model, a folder or a file that holds one";
  return what + " without " + missing +
         ": give the files that hold these, too, or a file or folder with the whole model";
}

/// T5's: the one that is given, else the one that came with the encoder, else any that lies where tokenizers
/// are looked for.
text::T5Tokenizer t5_tokenizer(const weights::CheckpointTokenizer& tokenizer,
                               std::span<const fs::path> folders, const SourceOptions& options) {
  if (!tokenizer.vocabulary.empty() &&
      (options.tokenizer.empty() || !text::has_t5_tokenizer(options.tokenizer)))
    return gguf_t5_tokenizer(tokenizer.vocabulary);
  return text::find_t5_tokenizer(folders);
}

/// The tokenizer that a checkpoint's text encoder needs, as a part.
ComponentSource tokenizer_part(const weights::CheckpointTokenizer& tokenizer, const fs::path& path,
                               const SourceOptions& options) {
  const auto folders = text::tokenizer_folders(options.tokenizer, path, options.tokenizer_fallback);
  ComponentSource part{tokenizer.name, "transformers", tokenizer.class_name};
  if (tokenizer.class_name.starts_with("T5"))
    part.given_tokenizer = t5_tokenizer(tokenizer, folders, options);
  else
    part.given_tokenizer = text::find_clip_tokenizer(
        folders, tokenizer.pads_with_id_0 ? text::ClipPadding::id_0 : text::ClipPadding::end_of_text);
  return part;
}

ModelSource from_checkpoint(const weights::Checkpoint& checkpoint, const fs::path& path,
                            const SourceOptions& options) {
  if (!checkpoint.is_whole()) throw ConfigError(pipeline_name, not_a_model(checkpoint));
  ModelSource source(path.stem().string(), *checkpoint.model_index);
  for (const auto& part : checkpoint.parts) {
    ComponentSource component{part.name, part.library, part.class_name};
    component.given_config = part.config;
    component.given_weights = part.weights;
    source = source.with(std::move(component));
  }
  ComponentSource scheduler{"scheduler", "diffusers", checkpoint.scheduler->class_name()};
  scheduler.given_config = *checkpoint.scheduler;
  source = source.with(std::move(scheduler));
  for (const auto& tokenizer : checkpoint.tokenizers)
    source = source.with(tokenizer_part(tokenizer, path, options));
  return source;
}

}  // namespace

ModelSource ModelSource::open(const fs::path& path, const SourceOptions& options) {
  std::error_code error;
  if (fs::is_regular_file(path, error) && (path.extension() == ".safetensors" || weights::is_gguf(path)))
    return naming(path, [&] {
      return from_checkpoint(weights::open_checkpoint(path, checkpoint_options(options)), path, options);
    });
  auto source = open_folder(path);
  source.variant_ = options.variant;
  return source;
}

ModelSource ModelSource::join(std::span<const fs::path> files, const SourceOptions& options) {
  if (files.empty()) throw ArgumentError(pipeline_name, "no file is given to make a model of");
  std::vector<weights::Checkpoint> parts;
  for (const auto& file : files)
    parts.push_back(
        naming(file, [&] { return weights::open_checkpoint(file, checkpoint_options(options)); }));
  return from_checkpoint(weights::join_checkpoints(parts), files.front(), options);
}

}  // namespace daguerre
