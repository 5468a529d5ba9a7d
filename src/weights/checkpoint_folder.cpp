#include "weights/checkpoint_folder.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/key_map.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/weight_files.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;

Config given_or_own(const CheckpointOptions& options, const fs::path& own, const std::string& folder,
                    const char* file) {
  const fs::path given = options.configs / folder / file;
  return Config::load(!options.configs.empty() && is_file(given) ? given : own / file);
}

/// A part that has weights here: schedulers and tokenizers have none, and the safety checker is not run.
struct Entry {
  std::string name, class_name;
  WeightNames names;
};

std::vector<Entry> read_index(const fs::path& model, const Config& index, const CheckpointOptions& options) {
  std::vector<Entry> result;
  const auto json = nlohmann::json::parse(index.dump());
  for (const auto& [name, value] : json.items()) {
    if (!value.is_array() || value.size() != 2 || !value[0].is_string() || !value[1].is_string()) continue;
    if (!is_plain_name(name))
      throw FormatError(checkpoint_name, index.source() + ": component " + in_quotes(name) +
                                             " must be the name of a folder beside the index");
    const auto library = value[0].get<std::string>(), class_name = value[1].get<std::string>();
    if (name == "safety_checker" || (library != "diffusers" && library != "transformers") ||
        !is_file(model / name / "config.json") || class_name.ends_with("Scheduler"))
      continue;
    WeightNames names;
    names.library =
        library == "transformers" ? WeightNames::Library::transformers : WeightNames::Library::diffusers;
    names.variant = options.variant;
    result.push_back({name, class_name, names});
  }
  // As in the reference, a variant may be of some parts only.
  const auto has_variant = [&](const Entry& entry) {
    return StateDict::is_there(model / entry.name, entry.names);
  };
  if (!options.variant.empty() && std::any_of(result.begin(), result.end(), has_variant))
    for (auto& entry : result)
      if (!has_variant(entry)) entry.names.variant.clear();
  return result;
}

/// The family whose pipeline's classes these are, by the denoiser's marks. Of those with the same marks it is
/// the one of the folder's pipeline.
const FamilyRow* folder_family(const Checkpoint& model) {
  const auto* denoiser = find_denoiser_part(model);
  if (denoiser == nullptr) return nullptr;
  if (!unsupported_model(denoiser->weights).empty()) return nullptr;
  const auto* row =
      recognised_family(denoiser->weights, {"", Layout::diffusers, denoiser_of_class(denoiser->class_name)});
  if (row == nullptr) return nullptr;
  if (row->name == "sd2" && model.scheduler &&
      model.scheduler->get("prediction_type", "epsilon") == "v_prediction")
    return &family_called("sd2-v");
  if (row->pipeline_class == model.pipeline_class) return row;
  for (const auto& other : families())
    if (other.pipeline_class == model.pipeline_class && other.denoiser == row->denoiser &&
        other.marks == row->marks)
      return &other;
  return row;
}

}  // namespace

Checkpoint open_checkpoint_folder(const fs::path& path, const CheckpointOptions& options) {
  const fs::path index_path = path / "model_index.json";
  if (!is_file(index_path)) {
    WeightNames names;
    names.variant = options.variant;
    auto result = open_checkpoint(StateDict::load(path, options.file, names), options);
    if (is_file(path / "config.json") && result.parts.size() == 1)
      result.parts.front().config = Config::load(path / "config.json");
    if (!result.parts.empty()) result.file.reset();
    return result;
  }
  Checkpoint result;
  result.source = path.string();
  result.folder = path;
  result.model_index = Config::load(index_path);
  result.pipeline_class = result.model_index->class_name();
  for (const auto& [name, class_name, names] : read_index(path, *result.model_index, options)) {
    const bool of_transformers = names.library == WeightNames::Library::transformers;
    result.parts.push_back({name, of_transformers ? "transformers" : "diffusers", class_name,
                            given_or_own(options, path / name, name, "config.json"),
                            with_diffusers_names(StateDict::load(path / name, options.file, names))});
  }
  constexpr const char* scheduler = "scheduler_config.json";
  if (is_file(path / "scheduler" / scheduler)) {
    result.scheduler = given_or_own(options, path / "scheduler", "scheduler", scheduler);
    if (!options.prediction_type.empty())
      result.scheduler =
          result.scheduler->with(nlohmann::json{{"prediction_type", options.prediction_type}}.dump());
  }
  const FamilyRow* row = options.family.empty() ? folder_family(result) : &family_called(options.family);
  if (row == nullptr) return result;
  result.family = row->name;
  result.title = row->title;
  for (const auto& slot : row->text)
    if (slot.required || result.find(slot.name) != nullptr) result.tokenizers.push_back(tokenizer_of(slot));
  return result;
}

}  // namespace daguerre::weights
