#include "daguerre/pipeline/model_source.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/key_map.hpp"
#include "pipeline/name.hpp"
#include "weights/weight_files.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

constexpr const char* index_name = "model_index.json";

/// "it is a part of the model folder X: give that; " for a path that lies in one, directly or one folder
/// down.
std::string inside_hint(const fs::path& path) {
  std::error_code error;
  fs::path folder = fs::absolute(path, error).lexically_normal();
  for (int up = 0; up < 2 && folder.has_parent_path(); ++up) {
    folder = folder.parent_path();
    if (path_exists(folder / index_name))
      return "it is a part of the model folder " + folder.string() + ": give that; ";
  }
  return {};
}

constexpr const char* conversion_hint =
    "to convert a checkpoint, in Python: "
    "diffusers.StableDiffusionPipeline.from_single_file(\"FILE\").save_pretrained(\"FOLDER\")";

bool is_checkpoint_name(const fs::path& path) {
  constexpr std::array<std::string_view, 6> extensions{".safetensors", ".ckpt", ".pt",
                                                       ".pth",         ".bin",  ".gguf"};
  return std::find(extensions.begin(), extensions.end(), path.extension().string()) != extensions.end();
}

/// "runwayml/stable-diffusion-v1-5": two names with a slash between them, as repositories are called.
bool is_repository_id(const std::string& text) {
  const auto slash = text.find('/');
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
  return slash != text.npos && slash > 0 && slash + 1 < text.size() &&
         text.find('/', slash + 1) == text.npos && text.front() != '.' && text.front() != '~' &&
         text.find_first_not_of(letters) == text.npos;
}

/// Why `path`, which is no folder, is no model.
std::string not_a_folder(const fs::path& path) {
  const std::string text = path.string();
  if (path_exists(path)) {
    if (path.filename() == index_name)
      return text + " is not a folder: give the folder it lies in, " + path.parent_path().string();
    if (is_checkpoint_name(path))
      return text + " is a single checkpoint file; a diffusers folder is needed; " + inside_hint(path) +
             conversion_hint;
    return text + " is not a folder: expected a model folder in diffusers' layout";
  }
  if (text.find("://") != text.npos)
    return text + " is not a folder: nothing is downloaded; give the path of a model folder on this machine";
  if (is_repository_id(text))
    return text +
           " is not a folder here; if it is a repository's name: nothing is downloaded, fetch it first (hf "
           "download " +
           text + " --local-dir FOLDER) and give the folder";
  return text + " is not a folder: there is no such path";
}

/// Why the folder `path`, which has no index, is no model.
std::string no_index(const fs::path& path) {
  std::string text =
      path.string() + " has no " + index_name + ": expected a model folder in diffusers' layout";
  if (path_exists(path / "config.json"))
    return text + "; " + inside_hint(path) + "a single part has no pictures";
  std::error_code error;
  std::vector<std::string> inner, checkpoints;
  int seen = 0;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end && ++seen <= 1000;
       entry.increment(error)) {
    if (path_exists(entry->path() / index_name)) inner.push_back(entry->path().filename().string());
    if (is_checkpoint_name(entry->path())) checkpoints.push_back(entry->path().filename().string());
  }
  std::sort(inner.begin(), inner.end());
  std::sort(checkpoints.begin(), checkpoints.end());
  if (!inner.empty()) return text + "; there is one in its folder " + inner.front();
  if (!checkpoints.empty())
    return text + "; " + checkpoints.front() + " in it is a single checkpoint file; " + conversion_hint;
  return text;
}

/// The class of the pipeline that `index` describes.
std::string pipeline_class(const Config& index) {
  // A pipeline of the model's own code is named by a file and a class in it.
  const auto root = nlohmann::json::parse(index.dump());
  const auto name = root.find("_class_name");
  if (name == root.end() || name->is_null())
    throw ConfigError(pipeline_name, index.source() + ": \"_class_name\", the pipeline's class, is missing",
                      index.path());
  if (name->is_array())
    throw ConfigError(pipeline_name,
                      index.source() + ": \"_class_name\" names code of the model's own, " +
                          name->dump().substr(0, 200) + ", which is not run",
                      index.path());
  return index.class_name();
}

}  // namespace

std::string ComponentSource::config_path() const {
  return given_config ? given_config->source() : (folder / "config.json").string();
}

fs::path ComponentSource::config_file() const {
  return given_config ? given_config->path() : folder / "config.json";
}

Config ComponentSource::config() const {
  const std::string class_change = nlohmann::json{{"_class_name", class_name}}.dump();
  if (given_config) return given_config->with(class_change);
  const auto file = folder / "config.json";
  if (in_root && !path_exists(file))
    throw FileError(pipeline_name,
                    folder.string() + ": there is no folder " + in_quotes(name) +
                        ", and no config.json beside " + index_name,
                    folder);
  auto config = Config::load(file);
  const auto own = config.class_name();  // also checks that it is a name
  if (in_root && !own.empty() && own != class_name && library == "diffusers")
    throw ConfigError(pipeline_name,
                      folder.string() + ": there is no folder " + in_quotes(name) +
                          ", and the config.json beside " + index_name + " is of a " + in_quotes(own) +
                          ", not of the " + class_name,
                      file);
  return std::move(config).with(class_change);
}

void ComponentSource::refuse_tokenizer() const {
  throw ConfigError(pipeline_name, "the tokenizer given as " + in_quotes(name) +
                                       " is of another kind than its text encoder takes");
}

weights::StateDict ComponentSource::weights(const weights::SafetensorsOptions& options) const {
  if (given_weights) return *given_weights;
  using enum weights::WeightNames::Library;
  // In the model's own folder the weights of several parts may lie side by side.
  weights::WeightNames names{library == "transformers" ? transformers : diffusers, in_root, variant};
  // Not every part of a model has the variant.
  if (!variant.empty() && !weights::StateDict::is_there(folder, names)) names.variant.clear();
  return weights::with_diffusers_names(weights::StateDict::load(folder, options, names));
}

ModelSource ModelSource::open_folder(const fs::path& path) {
  if (!is_folder(path)) throw FileError(pipeline_name, not_a_folder(path), path);
  const fs::path file = path / index_name;
  if (!path_exists(file)) throw FileError(pipeline_name, no_index(path), path);
  ModelSource result(model_name(path), Config::load(file));
  result.path_ = path;
  return result;
}

ModelSource::ModelSource(std::string name, Config index)
    : name_(std::move(name)), index_(std::move(index)), class_name_(pipeline_class(index_)) {}

ModelSource ModelSource::with(ComponentSource part) const {
  auto result = *this;
  auto key = part.name;
  result.given_.insert_or_assign(std::move(key), std::move(part));
  return result;
}

ModelSource ModelSource::without(std::string_view part) const {
  auto result = *this;
  result.given_.erase(std::string(part));
  result.index_ = index_.with(nlohmann::json{{part, nullptr}}.dump());
  return result;
}

ModelSource ModelSource::as(std::string_view class_name) const {
  auto result = *this;
  result.index_ = index_.with(nlohmann::json{{"_class_name", class_name}}.dump());
  result.class_name_ = class_name;
  return result;
}

std::optional<ComponentSource> ModelSource::find(std::string_view name) const {
  if (const auto given = given_.find(name); given != given_.end()) return given->second;
  const auto entry = index_.json(name);  // null and an absent key are one
  if (!entry) return std::nullopt;
  const auto value = nlohmann::json::parse(*entry);
  const auto is_name = [](const nlohmann::json& item) {
    return item.is_string() && !item.get<std::string>().empty();
  };
  if (value.is_array() && value.size() == 2 && (value[0].is_null() || value[1].is_null()))
    return std::nullopt;
  if (!value.is_array() || value.size() != 2 || !is_name(value[0]) || !is_name(value[1]))
    throw ConfigError(pipeline_name,
                      index_.source() + ": " + in_quotes(name) + " must be a library and a class, found " +
                          entry->substr(0, 200),
                      index_.path());
  ComponentSource part{std::string(name), value[0].get<std::string>(), value[1].get<std::string>()};
  part.folder = path_ / name;
  part.variant = variant_;
  part.in_root = !is_folder(part.folder);
  if (part.in_root) part.folder = path_;
  return part;
}

ComponentSource ModelSource::part(std::string_view name, const std::vector<std::string>& class_names) const {
  auto found = find(name);
  if (!found)
    throw ConfigError(
        pipeline_name,
        index_.source() + ": there is no " + in_quotes(name) + ", which a " + class_name_ + " needs",
        index_.path());
  if (found->library != "diffusers" && found->library != "transformers")
    throw ConfigError(pipeline_name,
                      index_.source() + ": " + in_quotes(name) + " is of the library " +
                          in_quotes(found->library) + ", supported are diffusers and transformers",
                      index_.path());
  std::string known;
  for (const auto& class_name : class_names) {
    if (found->class_name == class_name) return *found;
    known.append(known.empty() ? "" : ", ").append(class_name);
  }
  if (known.empty()) return *found;
  throw ConfigError(pipeline_name,
                    index_.source() + ": class " + in_quotes(found->class_name) + " of " + in_quotes(name) +
                        " is not supported; supported are: " + known,
                    index_.path());
}

std::string model_name(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error);
  while (whole.has_relative_path() && (!whole.has_filename() || whole.filename() == "."))
    whole = whole.parent_path();
  // The parent of a link's target is not the link's own.
  if (whole.filename() == "..") whole = fs::weakly_canonical(whole, error);
  // …/models--owner--name/snapshots/<commit>
  const fs::path snapshots = whole.parent_path();
  const std::string repository = snapshots.parent_path().filename().string();
  if (snapshots.filename() == "snapshots" && repository.starts_with("models--"))
    return repository.substr(repository.rfind("--") + 2);
  return whole.filename().string();
}

}  // namespace daguerre
