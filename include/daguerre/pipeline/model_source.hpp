#pragma once

#include <any>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre {

/// One part of a model before it is loaded: what model_index.json calls it, and where its configuration and
/// weights come from.
struct ComponentSource {
  std::string name;     ///< "unet"
  std::string library;  ///< "diffusers", "transformers"
  /// What model_index.json says. The reference goes by that, whatever the part's own files say or leave out.
  std::string class_name;
  /// The folder of that name; where there is none, the model's own.
  std::filesystem::path folder{};
  bool in_root = false;
  /// In the place of the folder's config.json and weights.
  std::optional<Config> given_config{};
  std::optional<weights::StateDict> given_weights{};
  /// In the place of a tokenizer's folder: a text::ClipTokenizer, a text::T5Tokenizer or, for a host's own
  /// text encoder, what that takes.
  std::any given_tokenizer{};
  /// Of weight files: "fp16" for `model.fp16.safetensors` and the like; see weights::WeightNames.
  std::string variant{};

  /// The path of config.json, or what stands for it.
  std::string config_path() const;
  /// The file itself; empty where there is none.
  std::filesystem::path config_file() const;
  /// config.json, its class being `class_name`. Throws FileError, FormatError, and ConfigError for one in the
  /// model's own folder that belongs to another part.
  Config config() const;
  /// The tokenizer given, or the folder's: Tokenizer::load(folder, options …). Throws what that throws, and
  /// ConfigError where the one given is of another kind.
  template <class Tokenizer, class... Options>
  Tokenizer tokenizer(const Options&... options) const {
    if (!given_tokenizer.has_value()) return Tokenizer::load(folder, options...);
    if (const auto* given = std::any_cast<Tokenizer>(&given_tokenizer)) return *given;
    refuse_tokenizer();
  }
  /// The weights, under the names that the networks ask for. Throws what StateDict::load throws.
  weights::StateDict weights(const weights::SafetensorsOptions& options) const;

 private:
  [[noreturn]] void refuse_tokenizer() const;
};

/// What a model's files do not say.
struct SourceOptions {
  /// Where the vocabularies of a model lie that brings none, as single files do: a folder with vocab.json and
  /// merges.txt, or bpe_simple_vocab_16e6.txt(.gz), for CLIP; with spiece.model for T5; or tokenizer.json;
  /// or with folders "tokenizer", "tokenizer_2", "tokenizer_3" of these. Looked for here, beside the file,
  /// and in the fallback; T5's also where llama.cpp's GGUF of the encoder brings it.
  std::filesystem::path tokenizer{}, tokenizer_fallback{};
  std::filesystem::path configs{};  ///< a folder whose configurations replace those of a file's family
  std::string family{};             ///< in the place of what a file's tensors say
  std::string prediction_type{};    ///< in the place of what a file's family predicts
  std::string variant{};            ///< of a folder's weight files: "fp16"
  bool ema = false;                 ///< the averaged weights, where a file has both
  bool allow_trailing_bytes = false;
};

/// Where a model comes from: what its model_index.json says, or what stands for one, and its parts. A value.
class ModelSource {
 public:
  /// A folder in diffusers' layout. Throws FileError for anything else, saying what it is and what to do;
  /// FormatError; ConfigError when the index names no class.
  static ModelSource open_folder(const std::filesystem::path& path);
  /// Such a folder, or one file that holds a whole model, as CompVis, Stability and Black Forest
  /// Labs lay it out; see weights::open_checkpoint. Throws what that throws, and ConfigError for a file that
  /// makes no pictures.
  static ModelSource open(const std::filesystem::path& path, const SourceOptions& options = {});
  /// A model of separate files: one with a denoiser, others with an autoencoder and text encoders; see
  /// weights::join_checkpoints.
  static ModelSource join(std::span<const std::filesystem::path> files, const SourceOptions& options = {});
  /// Parts from elsewhere: `index` is what model_index.json would say, with `_class_name`; `name` is what
  /// people call the model.
  ModelSource(std::string name, Config index);

  /// What people call the model.
  const std::string& name() const noexcept { return name_; }
  /// The folder; empty where there is none.
  const std::filesystem::path& path() const noexcept { return path_; }
  const Config& index() const noexcept { return index_; }
  /// The pipeline's.
  const std::string& class_name() const noexcept { return class_name_; }

  /// The same with `part` in the place of the one of its name, or beside the others.
  ModelSource with(ComponentSource part) const;
  /// The same without that part: Stable Diffusion 3 makes pictures without its "text_encoder_3", too.
  ModelSource without(std::string_view part) const;
  /// The same as a pipeline of another class.
  ModelSource as(std::string_view class_name) const;
  /// Nothing where the index leaves it out or says null, which means that the model goes without.
  std::optional<ComponentSource> find(std::string_view name) const;
  /// The part must be there, and of one of `class_names`, where any are given. Throws ConfigError.
  ComponentSource part(std::string_view name, const std::vector<std::string>& class_names = {}) const;

 private:
  std::string name_;
  std::filesystem::path path_;
  Config index_;
  std::string class_name_;
  std::string variant_;  // of a folder's weight files
  std::map<std::string, ComponentSource, std::less<>> given_;
};

/// What people call the model at `path`: its folder's name as it was given, whatever "." and ".." and "/" are
/// in it; for a snapshot in Hugging Face's cache, the repository's name.
std::string model_name(const std::filesystem::path& path);

}  // namespace daguerre
