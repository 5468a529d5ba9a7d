#include "weights/checkpoint_builder.hpp"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/shape_configs.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* unet_class = "UNet2DConditionModel";
constexpr const char* autoencoder_class = "AutoencoderKL";
constexpr const char* projection = "text_projection.weight";

std::optional<Config> given_config(const CheckpointOptions& options, const std::string& folder,
                                   const std::string& file) {
  if (options.configs.empty()) return std::nullopt;
  const fs::path path = options.configs / folder / file;
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  return Config::load(path);
}

std::string text_class(const StateDict& weights) {
  return weights.contains(projection) ? "CLIPTextModelWithProjection" : "CLIPTextModel";
}

/// The tensor as the file calls it, with its shape.
std::string described(const StateDict& weights, const std::string& name) {
  return in_quotes(weights.source_name(name)) + " " + to_string(weights.shape(name));
}

}  // namespace

CheckpointBuilder::CheckpointBuilder(const FamilyRow& family, const CheckpointOptions& options,
                                     std::string source)
    : family_(family), options_(options) {
  result_.family = family.name;
  result_.title = family.title;
  result_.pipeline_class = family.pipeline_class;
  result_.source = std::move(source);
}

template <class Make>
Config CheckpointBuilder::config_of(const std::string& part, const Make& make) const {
  if (auto given = given_config(options_, part, "config.json")) return std::move(*given);
  return make(result_.source + " (" + part + ")");
}

void CheckpointBuilder::add_text(const TextSlot& slot, StateDict weights) {
  const std::string name(slot.name);
  if (!slot.projects) weights = without_projection(weights);
  if (slot.projects && !weights.contains(projection))
    throw WeightError(checkpoint_name, result_.source + ": " + name + " of family " + result_.family +
                                           " needs its text_projection, which is missing");
  auto config = config_of(name, [&](const std::string& source) {
    return clip_text_config(weights, slot.open_clip, slot.projects, source);
  });
  // Which of a file's layers are used is a matter of the configuration.
  if (slot.most_layers != 0)
    weights = with_layers(weights, config.without({}).get("num_hidden_layers", slot.most_layers));
  result_.parts.push_back({name, "transformers", text_class(weights), std::move(config), std::move(weights)});
}

void CheckpointBuilder::add_autoencoder(StateDict weights) {
  auto config = config_of("vae", [&](const std::string& source) {
    return autoencoder_config(weights, family_.vae_scaling, family_.picture_size, source);
  });
  result_.parts.push_back({"vae", "diffusers", autoencoder_class, std::move(config), std::move(weights)});
}

void CheckpointBuilder::add_unet(StateDict weights) {
  UNetExtras extras;
  const bool scores = std::string_view(family_.index_options).find("\"requires_aesthetics_score\": true") !=
                      std::string_view::npos;
  extras.numbers = scores ? 5 : 6;
  if (const auto* text = result_.find("text_encoder_2");
      text != nullptr && text->weights.contains(projection))
    extras.pooled_width = text->weights.shape(projection)[0];
  auto config = config_of(
      "unet", [&](const std::string& source) { return unet_config(weights, family_, extras, source); });
  check_widths(weights);
  result_.parts.push_back({"unet", "diffusers", unet_class, std::move(config), std::move(weights)});
}

void CheckpointBuilder::check_widths(const StateDict& unet) const {
  const auto refuse = [&](const std::string& what, const std::string& name, const std::string& other) {
    throw WeightError(checkpoint_name, result_.source + ": as family " + result_.family +
                                           " its parts do not fit together: " + what + " " +
                                           described(unet, name) + " of the U-Net against " + other);
  };
  constexpr const char* embedding = "text_model.embeddings.token_embedding.weight";
  const auto [attention, width] = context_width(unet);
  Index total = 0;
  bool all = true;
  std::string tables;
  for (const auto& slot : family_.text) {
    const auto* text = result_.find(slot.name);
    all = all && text != nullptr;
    if (text == nullptr) continue;
    total += text->weights.shape(embedding)[1];
    tables += (tables.empty() ? "" : " and ") + described(text->weights, embedding);
  }
  if (all && !attention.empty() && width != total) refuse("the text's width,", attention, tables);
  const auto* vae = result_.find("vae");
  constexpr const char *latents = "decoder.conv_in.weight", *output = "conv_out.weight";
  if (vae != nullptr && vae->weights.shape(latents)[1] != unet.shape(output)[0])
    refuse("the latents' channels,", output, described(vae->weights, latents) + " of the autoencoder");
}

void CheckpointBuilder::predict_v(bool zero_snr) {
  OrderedJson changes{{"prediction_type", "v_prediction"}};
  if (zero_snr) changes["rescale_betas_zero_snr"] = true;
  scheduler_changes_ = changes.dump();
}

Checkpoint CheckpointBuilder::finish() {
  // The order of a model's index: by name, as everywhere.
  std::sort(result_.parts.begin(), result_.parts.end(),
            [](const CheckpointPart& a, const CheckpointPart& b) { return a.name < b.name; });
  auto scheduler = given_config(options_, "scheduler", "scheduler_config.json");
  if (!scheduler) {
    scheduler = Config::parse(family_.scheduler, result_.source + " (scheduler)");
    if (!scheduler_changes_.empty()) scheduler = scheduler->with(scheduler_changes_);
  }
  if (!options_.prediction_type.empty())
    scheduler = scheduler->with(OrderedJson{{"prediction_type", options_.prediction_type}}.dump());

  OrderedJson index{{"_class_name", family_.pipeline_class}, {"_diffusers_version", "0.31.0"}};
  index["scheduler"] = {"diffusers", scheduler->class_name()};
  for (const auto& slot : family_.text) {
    index[std::string(slot.name)] = {"transformers",
                                     slot.projects ? "CLIPTextModelWithProjection" : "CLIPTextModel"};
    index[std::string(slot.tokenizer)] = {"transformers", "CLIPTokenizer"};
    result_.tokenizers.push_back({std::string(slot.tokenizer), slot.open_clip});
    if (result_.find(slot.name) == nullptr) result_.missing.emplace_back(slot.name);
  }
  index["unet"] = {"diffusers", unet_class};
  index["vae"] = {"diffusers", autoencoder_class};
  if (result_.find("vae") == nullptr) result_.missing.emplace_back("vae");
  result_.model_index =
      Config::parse(index.dump(), result_.source + " (model_index)").with(family_.index_options);
  result_.scheduler = std::move(scheduler);
  return std::move(result_);
}

CheckpointPart lone_autoencoder(StateDict weights, const CheckpointOptions& options,
                                const std::string& source) {
  constexpr double usual_scaling = 0.18215;
  auto config = given_config(options, "vae", "config.json");
  if (!config) config = autoencoder_config(weights, usual_scaling, 512, source);
  return {"vae", "diffusers", autoencoder_class, std::move(*config), std::move(weights)};
}

CheckpointPart lone_text(StateDict weights, const std::string& family, const CheckpointOptions& options,
                         const std::string& source) {
  auto config = given_config(options, "text_encoder", "config.json");
  if (!config) config = clip_text_config(weights, family != "clip-l", weights.contains(projection), source);
  return {"text_encoder", "transformers", text_class(weights), std::move(*config), std::move(weights)};
}

std::string text_family(const StateDict& weights, bool open_clip_names) {
  constexpr Index h_width = 1024;
  const Shape table = weights.shape("text_model.embeddings.token_embedding.weight");
  const Index width = table.rank() == 0 ? 0 : table[-1];
  if (width < h_width && !open_clip_names) return "clip-l";
  return width == h_width ? "clip-h" : "clip-g";
}

Checkpoint join_to(const Checkpoint& base, std::span<const Checkpoint> parts) {
  const auto& family = family_called(base.family);
  const CheckpointOptions options;
  CheckpointBuilder builder(family, options, base.source);
  std::set<std::string_view> given;
  const auto take = [&](const Checkpoint& from, std::string_view place) {
    if (!given.insert(place).second)
      throw ArgumentError(checkpoint_name,
                          from.source + ": another file is the " + std::string(place) + " already");
  };
  for (const auto& part : parts) {
    if (&part == &base) continue;
    if (part.family == "vae") {
      take(part, "vae");
      builder.add_autoencoder(part.parts.front().weights);
      continue;
    }
    const bool is_text = part.family.starts_with("clip-");
    const auto slot = std::find_if(family.text.begin(), family.text.end(), [&](const TextSlot& candidate) {
      return candidate.open_clip == (part.family != "clip-l");
    });
    if (!is_text || slot == family.text.end())
      throw ArgumentError(checkpoint_name, part.source + ": this is " +
                                               (part.title.empty() ? "no part of a model" : part.title) +
                                               ", which a model of family " + base.family +
                                               " has no place for");
    take(part, slot->name);
    builder.add_text(*slot, with_layers(part.parts.front().weights, slot->most_layers));
  }
  for (const auto& slot : family.text)
    if (const auto* own = base.find(slot.name); own != nullptr && !given.contains(slot.name))
      builder.add_text(slot, own->weights);
  if (const auto* own = base.find("vae"); own != nullptr && !given.contains("vae"))
    builder.add_autoencoder(own->weights);
  builder.add_unet(base.find("unet")->weights);
  auto result = builder.finish();
  // What the base was opened with counts, its configurations and its scheduler included.
  for (auto& part : result.parts)
    if (const auto* own = base.find(part.name); own != nullptr && !given.contains(part.name))
      part.config = own->config;
  result.scheduler = base.scheduler;
  result.model_index = base.model_index;
  result.unknown = base.unknown;
  result.folder = base.folder;
  // Several files are one no more.
  if (given.empty()) result.file = base.file;
  return result;
}

}  // namespace daguerre::weights
