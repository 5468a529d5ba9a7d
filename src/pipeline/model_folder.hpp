#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "daguerre/weights/config.hpp"

namespace daguerre {

/// A part of a model: what model_index.json calls it, and where its files lie.
struct ModelPart {
  std::string name;     ///< "unet"
  std::string library;  ///< "diffusers", "transformers"
  /// What model_index.json says. The reference goes by that, whatever the part's own files say or leave out.
  std::string class_name;
  /// The folder of that name; where there is none, the model's own.
  std::filesystem::path folder;
  bool in_root = false;

  /// The path of config.json.
  std::string config_path() const;
  /// config.json, its class being `class_name`. Throws FileError, FormatError, and ConfigError for one in the
  /// model's own folder that belongs to another part.
  weights::Config config() const;
};

/// A model in diffusers' layout: model_index.json and the files of the parts that it lists.
class ModelFolder {
 public:
  /// Throws FileError for anything else, saying what it is and what to do; FormatError; ConfigError when the
  /// index names no class.
  static ModelFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }
  const weights::Config& index() const noexcept { return index_; }
  /// The pipeline's.
  const std::string& class_name() const noexcept { return class_name_; }
  /// Nothing where the index leaves it out or says null, which means that the model goes without.
  std::optional<ModelPart> find(std::string_view name) const;
  /// The part must be there, and of one of `class_names`, where any are given. Throws ConfigError.
  ModelPart part(std::string_view name, std::initializer_list<std::string_view> class_names = {}) const;

 private:
  ModelFolder(std::filesystem::path path, weights::Config index, std::string class_name);
  std::filesystem::path path_;
  weights::Config index_;
  std::string class_name_;
};

/// What people call the model at `path`: its folder's name as it was given, whatever "." and ".." and "/" are
/// in it; for a snapshot in Hugging Face's cache, the repository's name.
std::string model_name(const std::filesystem::path& path);

}  // namespace daguerre
