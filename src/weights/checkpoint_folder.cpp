#include "weights/checkpoint_folder.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "daguerre/error.hpp"
#include "daguerre/weights/key_map.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/text.hpp"
#include "weights/weight_files.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Config given_or_own(const CheckpointOptions& options, const fs::path& own, const std::string& folder,
                    const char* file) {
  const fs::path given = options.configs / folder / file;
  return Config::load(!options.configs.empty() && is_file(given) ? given : own / file);
}

/// A folder's part; nothing for what has no weights here: schedulers, tokenizers, and the safety checker,
/// which is not run.
std::optional<CheckpointPart> read_part(const fs::path& model, const std::string& name,
                                        const std::string& library, const std::string& class_name,
                                        const CheckpointOptions& options) {
  const fs::path folder = model / name;
  if (name == "safety_checker" || (library != "diffusers" && library != "transformers") ||
      !is_file(folder / "config.json") || class_name.ends_with("Scheduler"))
    return std::nullopt;
  WeightNames names;
  names.library =
      library == "transformers" ? WeightNames::Library::transformers : WeightNames::Library::diffusers;
  names.variant = options.variant;
  return CheckpointPart{name, library, class_name, given_or_own(options, folder, name, "config.json"),
                        with_diffusers_names(StateDict::load(folder, options.file, names))};
}

/// The family whose pipeline's classes these are, by the U-Net's marks.
const FamilyRow* folder_family(const Checkpoint& model) {
  const auto* unet = model.find("unet");
  if (unet == nullptr || unet->class_name != "UNet2DConditionModel") return nullptr;
  const auto* row = recognised_family(unet->weights, "", Layout::diffusers);
  if (row != nullptr && row->name == "sd2" && model.scheduler &&
      model.scheduler->get("prediction_type", "epsilon") == "v_prediction")
    return &family_called("sd2-v");
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
  const auto index = nlohmann::json::parse(result.model_index->dump());
  for (const auto& [name, value] : index.items()) {
    if (!value.is_array() || value.size() != 2 || !value[0].is_string() || !value[1].is_string()) continue;
    if (!is_plain_name(name))
      throw FormatError(checkpoint_name, index_path.string() + ": component " + in_quotes(name) +
                                             " must be the name of a folder beside the index");
    if (auto part = read_part(path, name, value[0].get<std::string>(), value[1].get<std::string>(), options))
      result.parts.push_back(std::move(*part));
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
    result.tokenizers.push_back({std::string(slot.tokenizer), slot.open_clip});
  return result;
}

}  // namespace daguerre::weights
