#include "pipeline/clip_towers.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/paths.hpp"
#include "daguerre/media/clip_image_processor.hpp"
#include "daguerre/models/contrastive/clip_model.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/pipeline/picture_preparation.hpp"
#include "daguerre/text/clip_tokenizer_files.hpp"
#include "daguerre/text/tokenizer_folders.hpp"
#include "daguerre/weights/key_map.hpp"
#include "pipeline/clip_image_processor.hpp"
#include "pipeline/model_fit.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

constexpr const char* clip_towers_name = "clip_model";

/// What a model's files say, before its weights are packed.
struct ClipParts {
  models::ClipModelConfig config;
  std::string config_path;  ///< what says so, for messages
  ClipImageProcessor processor;
  ClipPreparation preparation;
  text::ClipTokenizer tokenizer;
  weights::StateDict weights;
};

std::string channel_text(const std::array<float, 3>& values) {
  std::string result;
  for (const float value : values) {
    char text[16];
    std::snprintf(text, sizeof text, "%.4g", static_cast<double>(value));
    result += (result.empty() ? "" : " ") + std::string(text);
  }
  return result;
}

/// "bicubic (Pillow) to 224 on the shorter side, 224 x 224 cut out, mean 0.48 …, deviation 0.27 …"
std::string described_preparation(const ClipImageProcessor& processor, ClipPreparation preparation,
                                  Index size) {
  const auto side = std::to_string(size);
  const auto normalised =
      ", mean " + channel_text(processor.mean) + ", deviation " + channel_text(processor.deviation);
  if (preparation == ClipPreparation::cmmd)
    return "bicubic (torch, a = -0.75) to " + side + " x " + side + normalised;
  if (preparation == ClipPreparation::hps)
    return "bicubic (torch, a = -0.75) to " + side +
           (processor.longest_edge > 0 ? " on the longer side, padded" : " on the shorter side, the middle") +
           normalised;
  std::string result;
  if (processor.resize) {
    constexpr std::array<const char*, 6> names{"nearest", "lanczos", "box", "bilinear", "hamming", "bicubic"};
    result = std::string(names[static_cast<std::size_t>(processor.resampling)]) + " (Pillow) to ";
    result += processor.longest_edge > 0 ? std::to_string(processor.longest_edge) + " on the longer side"
              : processor.shortest_edge > 0
                  ? std::to_string(processor.shortest_edge) + " on the shorter side"
                  : std::to_string(processor.width) + " x " + std::to_string(processor.height);
  }
  if (processor.crop)
    result += (result.empty() ? "" : ", ") + std::to_string(processor.crop_width) + " x " +
              std::to_string(processor.crop_height) + " cut out";
  return result + (processor.normalise ? normalised : "");
}

template <class T>
class PackedClipTowers final : public ClipTowers {
 public:
  PackedClipTowers(const ClipParts& parts, TokenRows rows, models::ClipModel<T> network)
      : tokenizer_(parts.tokenizer),
        rows_(std::move(rows)),
        processor_(parts.processor),
        preparation_(parts.preparation),
        network_(std::move(network)) {}

  Tensor<float> embed_text(const ops::Context& context, std::string_view text) const override {
    rows_.check(tokenizer_, text, "text");
    const auto window = tokenizer_.window(text);
    const auto ids = Tensor<std::int32_t>::copy_of({1, static_cast<Index>(window.ids.size())}, window.ids);
    return finite(network_.embed_texts(context, ids));
  }
  Tensor<float> embed_picture(const ops::Context& context, const Image& picture) const override {
    return finite(network_.embed_pictures(context, pixel_values(context, picture)));
  }
  Tensor<float> embed_pictures(const ops::Context& context, std::span<const Image> pictures) const override {
    const auto count = static_cast<Index>(pictures.size());
    std::vector<Tensor<float>> values(pictures.size());
    parallel_for(context.threads, count, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        context.check_stop();
        const auto n = static_cast<std::size_t>(i);
        values[n] = pixel_values(context, pictures[n]);
      }
    });
    return finite(network_.embed_pictures(context, concat_leading<float>(values)));
  }
  std::string lost(std::string_view text) const override { return tokenizer_.window(text).lost; }
  Index dimension() const noexcept override { return network_.config().vision.projection_dim; }
  std::string definition() const override {
    const auto& vision = network_.config().vision;
    return "CLIP of " + std::to_string(vision.num_hidden_layers) + " layers of " +
           std::to_string(vision.hidden_size) + ", patches of " + std::to_string(vision.patch_size) +
           ", projected to " + std::to_string(vision.projection_dim) + "; " +
           described_preparation(processor_, preparation_, vision.image_size) + "; " +
           (std::is_same_v<T, float> ? "f32" : "bf16");
  }

 private:
  Tensor<float> pixel_values(const ops::Context& context, const Image& picture) const {
    const Index size = network_.config().vision.image_size;
    if (preparation_ == ClipPreparation::clip) return processor_(picture);
    if (preparation_ == ClipPreparation::hps)
      return hps_pixel_values(context, picture, size, processor_.longest_edge > 0);
    return cmmd_pixel_values(context, picture, size);
  }
  static Tensor<float> finite(Tensor<float> embedding) {
    ops::check_finite(embedding, clip_towers_name);
    return embedding;
  }

  text::ClipTokenizer tokenizer_;
  TokenRows rows_;
  ClipImageProcessor processor_;
  ClipPreparation preparation_;
  models::ClipModel<T> network_;
};

/// Throws WeightError unless there are both towers.
weights::StateDict with_both_towers(const weights::StateDict& weights) {
  constexpr std::array<const char*, 3> marks{"text_model.embeddings.token_embedding.weight",
                                             "vision_model.embeddings.class_embedding",
                                             "visual_projection.weight"};
  auto named = weights::with_diffusers_names(weights);
  for (const char* mark : marks) {
    if (named.contains(mark)) continue;
    std::string found;
    const auto names = weights.names();
    for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 3); ++i)
      found += (found.empty() ? "" : ", ") + names[i];
    throw WeightError(
        clip_towers_name,
        weights.source() +
            ": no CLIP model of text and vision; expected the tensors of a CLIPModel, of open_clip "
            "or of openai/CLIP (" +
            mark + " is not there), found " + std::to_string(names.size()) + " tensors: " + found +
            (names.size() > 3 ? ", …" : ""),
        weights.path());
  }
  return named;
}

/// The vocabulary of a model that brings none; `file` lies where it may be, too.
text::ClipTokenizer find_vocabulary(const fs::path& file, const TokenizerPlaces& places) {
  return text::find_clip_tokenizer(text::tokenizer_folders(places.given, file, places.fallback),
                                   text::ClipPadding::end_of_text, text::ClipDialect::openai);
}

/// transformers' folder.
ClipParts open_transformers_clip(const fs::path& folder, const TokenizerPlaces& places) {
  const auto config = Config::load(folder / "config.json");
  const auto towers = models::ClipModelConfig::from(config);
  ClipImageProcessor processor;
  processor.shortest_edge = processor.crop_height = processor.crop_width = towers.vision.image_size;
  if (path_exists(folder / "preprocessor_config.json"))
    processor = read_clip_image_processor(Config::load(folder / "preprocessor_config.json"));
  const bool brings_words = path_exists(folder / "vocab.json") || path_exists(folder / "tokenizer.json");
  return {towers,
          config.source(),
          processor,
          ClipPreparation::clip,
          brings_words ? text::ClipTokenizer::load(folder)
                       : text::find_clip_tokenizer(
                             text::tokenizer_folders(places.given, folder / "config.json", places.fallback),
                             text::ClipPadding::end_of_text),
          with_both_towers(open_clip_weights(folder))};
}

/// How open_clip_config.json says that pictures are prepared.
ClipImageProcessor read_open_clip_processor(const Config& config, Index image_size) {
  const auto text = config.json("preprocess_cfg");
  if (!text) return ClipImageProcessor::openai(image_size);
  const auto part = Config::parse(*text, config.source() + ", preprocess_cfg");
  part.expect("mode", {"\"RGB\""});
  part.expect("interpolation", {"\"bicubic\""});
  part.expect("fill_color", {"0"});
  part.ignore({"size"});  // the network's own
  const std::string mode = part.get("resize_mode", "shortest");
  if (mode != "shortest" && mode != "longest" && mode != "squash")
    throw ConfigError(clip_towers_name, part.source() + ": resize_mode \"" + mode +
                                            "\" is none of shortest, longest and squash");
  auto result = mode == "longest" ? ClipImageProcessor::whole_picture(image_size)
                                  : ClipImageProcessor::openai(image_size);
  if (mode == "squash") {
    result.shortest_edge = 0;
    result.width = result.height = image_size;
  }
  const auto channels = [&](const char* key, std::array<float, 3>& target) {
    const auto values = part.doubles(key);
    if (values.empty()) return;
    if (values.size() != target.size())
      throw ConfigError(clip_towers_name, part.source() + ": " + key + " must have three numbers");
    for (std::size_t i = 0; i < target.size(); ++i) target[i] = static_cast<float>(values[i]);
  };
  channels("mean", result.mean);
  channels("std", result.deviation);
  part.finish();
  return result;
}

/// open_clip's folder.
ClipParts open_open_clip(const fs::path& folder, ClipPreparation preparation, const TokenizerPlaces& places) {
  const auto config = Config::load(folder / "open_clip_config.json");
  const auto model = config.json("model_cfg");
  if (!model) throw ConfigError(clip_towers_name, config.source() + ": model_cfg is missing");
  const auto towers =
      models::ClipModelConfig::from_open_clip(Config::parse(*model, config.source() + ", model_cfg"));
  const auto processor = read_open_clip_processor(config, towers.vision.image_size);
  config.finish();
  const auto weights = open_clip_weights(folder);
  return {towers,
          config.source(),
          processor,
          preparation,
          find_vocabulary(weights.path(), places),
          with_both_towers(weights)};
}

/// One file.
ClipParts open_clip_file(const fs::path& file, ClipPreparation preparation, const TokenizerPlaces& places) {
  const auto weights = with_both_towers(open_clip_weights(file));
  const auto towers = models::ClipModelConfig::from_weights(weights);
  return {towers,
          file.string(),
          ClipImageProcessor::openai(towers.vision.image_size),
          preparation,
          find_vocabulary(file, places),
          weights};
}

ClipParts open_clip_parts(const fs::path& path, ClipPreparation preparation, const TokenizerPlaces& places) {
  if (!is_folder(path)) return open_clip_file(path, preparation, places);
  if (path_exists(path / "config.json")) return open_transformers_clip(path, places);
  if (path_exists(path / "open_clip_config.json")) return open_open_clip(path, preparation, places);
  const bool is_pipeline = path_exists(path / "model_index.json");
  throw FileError(clip_towers_name,
                  path.string() +
                      ": no CLIP model: expected a folder with config.json or "
                      "open_clip_config.json, found " +
                      (is_pipeline ? "a model that makes pictures (model_index.json)" : "neither"),
                  path);
}

}  // namespace

weights::StateDict open_clip_weights(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return weights::StateDict::load(path);
  if (path_exists(path / "config.json"))
    return weights::StateDict::load(path, {},
                                    {.library = weights::WeightNames::Library::transformers, .only = true});
  for (const char* name :
       {"open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors"})
    if (path_exists(path / name)) return weights::StateDict::load(path / name);
  throw FileError(clip_towers_name, path.string() + ": open_clip_model.safetensors is not there", path);
}

std::shared_ptr<const ClipTowers> load_clip_towers(const fs::path& path, ClipPreparation preparation,
                                                   const TokenizerPlaces& tokenizer,
                                                   const LoadContext& context) {
  auto parts = open_clip_parts(path, preparation, tokenizer);
  if (preparation == ClipPreparation::cmmd) parts.preparation = preparation;
  const auto& words = parts.tokenizer;
  check_prepared_size(parts.processor, parts.config.vision.image_size, parts.config_path);
  check_window(words.length(), words.source(), parts.config.text.max_position_embeddings, parts.config_path);
  const TokenRows rows(
      {words.vocabulary_size(), words.source(), parts.config.text.vocab_size, parts.config_path},
      std::array<TokenRows::Special, 2>{{{"start", words.start_id()}, {"end", words.end_id()}}});
  if (const auto warning = rows.warning()) context.tell(LogLevel::warning, *warning);
  return with_precision(context, Role::other,
                        [&]<class T>(const LoadContext& own) -> std::shared_ptr<const ClipTowers> {
                          models::ClipModel<T> network(parts.config, loader_of(parts.weights, own));
                          report(parts.weights, own);
                          return std::make_shared<const PackedClipTowers<T>>(parts, rows, std::move(network));
                        });
}

}  // namespace daguerre
