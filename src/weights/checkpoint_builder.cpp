#include "weights/checkpoint_builder.hpp"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/extents.hpp"
#include "weights/shape_configs.hpp"
#include "weights/transformer_configs.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* autoencoder_class = "AutoencoderKL";
constexpr const char* tiny_autoencoder_class = "AutoencoderTiny";
constexpr const char* wan_autoencoder_class = "AutoencoderKLWan";
constexpr const char* projection = "text_projection.weight";
constexpr const char* clip_table = "text_model.embeddings.token_embedding.weight";

std::optional<Config> given_config(const CheckpointOptions& options, const std::string& folder,
                                   const std::string& file) {
  if (options.configs.empty()) return std::nullopt;
  const fs::path path = options.configs / folder / file;
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  return Config::load(path);
}

/// An autoencoder as its tensors show it, where no configuration is given.
CheckpointPart autoencoder_part(StateDict weights, std::optional<Config> given, const LatentScale& scale,
                                int picture_size, const std::string& source) {
  const bool tiny = is_tiny_autoencoder(weights), wan = is_wan_autoencoder(weights);
  if (!given)
    given = tiny  ? tiny_autoencoder_config(weights, source)
            : wan ? wan_autoencoder_config(weights, source)
                  : autoencoder_config(weights, scale, picture_size, source);
  const char* const name = tiny ? tiny_autoencoder_class : wan ? wan_autoencoder_class : autoencoder_class;
  return {"vae", "diffusers", name, std::move(*given), std::move(weights)};
}

std::string clip_class(bool projects) {
  return projects ? "CLIPTextModelWithProjection" : "CLIPTextModel";
}
std::string t5_class(const StateDict& weights) {
  return is_umt5(weights) ? "UMT5EncoderModel" : "T5EncoderModel";
}

std::string slot_class(const TextSlot& slot) {
  if (slot.is_t5()) return slot.kind == TextKind::umt5 ? "UMT5EncoderModel" : "T5EncoderModel";
  return clip_class(slot.projection != TextSlot::Projection::none);
}

/// The tensor as the file calls it, with its shape.
std::string described(const StateDict& weights, const std::string& name) {
  return in_quotes(weights.source_name(name)) + " " + to_string(weights.shape(name));
}

/// A file's text as one vector that stays what it is.
StateDict with_unit_projection(const StateDict& weights) {
  constexpr Index widest = 8192;
  const Index width = extent(weights, clip_table, 1);
  if (width > widest)
    throw WeightError(checkpoint_name, weights.source() + ": " + described(weights, clip_table) +
                                           " is of an encoder wider than " + std::to_string(widest));
  Tensor<half> unit = Tensor<half>::full({width, width}, half(0.0f));
  for (Index i = 0; i < width; ++i) unit.data()[i * width + i] = half(1.0f);
  SafetensorsWriter writer;
  writer.add(projection, unit);
  auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
  return weights.joined(StateDict({SafetensorsFile::from_memory(std::move(bytes), weights.source())}));
}

/// The kind of encoder that a lone file is, by what its checkpoint calls it.
std::optional<TextKind> text_kind(std::string_view family) {
  if (family == "clip-l") return TextKind::clip_l;
  if (family == "clip-h" || family == "clip-g") return TextKind::open_clip;
  if (family == "t5") return TextKind::t5;
  if (family == "umt5") return TextKind::umt5;
  return std::nullopt;
}

/// The parts beside the denoiser: "a CLIP-L text encoder (text_encoder), … and an autoencoder (vae)".
std::string what_it_takes(const FamilyRow& family) {
  std::string text;
  for (const auto& slot : family.text) text += part_in_words(family, slot.name) + ", ";
  text.resize(text.size() - 2);
  return text + " and " + part_in_words(family, "vae");
}

/// The file that an encoder comes from, where it brings its vocabulary as llama.cpp's do.
fs::path vocabulary_in(const StateDict& weights) {
  const auto metadata = weights.metadata();
  const auto model = metadata.find("tokenizer.ggml.model");
  return model != metadata.end() && model->second == "t5" ? weights.path() : fs::path();
}

/// The width of what an encoder says of each token, or of the whole text.
Extent text_extent(const StateDict& weights, const TextSlot& slot, bool pooled) {
  if (slot.is_t5()) {
    const char* const table =
        weights.contains("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
    return {table, extent(weights, table, 1)};
  }
  if (pooled && weights.contains(projection)) return {projection, extent(weights, projection, 0)};
  return {clip_table, extent(weights, clip_table, 1)};
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
  if (slot.is_t5()) return add_t5(slot, std::move(weights));
  return add_clip(slot, std::move(weights));
}

void CheckpointBuilder::add_clip(const TextSlot& slot, StateDict weights) {
  using enum TextSlot::Projection;
  const std::string name(slot.name);
  const bool projects = slot.projection != none;
  if (!projects) weights = without_projection(weights);
  if (projects && !weights.contains(projection)) {
    if (slot.projection == own)
      throw WeightError(checkpoint_name, result_.source + ": " + name + " of family " + result_.family +
                                             " needs its text_projection, which is missing");
    weights = with_unit_projection(weights);
  }
  auto config = config_of(name, [&](const std::string& source) {
    return clip_text_config(weights, slot.kind == TextKind::open_clip, projects, source);
  });
  // Which of a file's layers are used is a matter of the configuration.
  if (slot.most_layers != 0)
    weights = with_layers(weights, config.without({}).get("num_hidden_layers", slot.most_layers));
  result_.parts.push_back(
      {name, "transformers", clip_class(projects), std::move(config), std::move(weights)});
}

void CheckpointBuilder::add_t5(const TextSlot& slot, StateDict weights) {
  const std::string name(slot.name);
  auto config = config_of(name, [&](const std::string& source) { return t5_config(weights, source); });
  result_.parts.push_back({name, "transformers", t5_class(weights), std::move(config), std::move(weights)});
}

void CheckpointBuilder::add_autoencoder(StateDict weights) {
  result_.parts.push_back(autoencoder_part(std::move(weights), given_config(options_, "vae", "config.json"),
                                           family_.latents, family_.picture_size, result_.source + " (vae)"));
}

void CheckpointBuilder::add_denoiser(StateDict weights) {
  const auto& kind = *family_.denoiser;
  DenoiserFacts facts{
      .picture_size = family_.picture_size, .heads = family_.heads, .time_numbers = family_.time_numbers};
  for (const auto& slot : family_.text)
    if (const auto* text = result_.find(slot.name); text != nullptr && slot.gives_pooled)
      facts.pooled_width += text_extent(text->weights, slot, true).value;
  const std::string part(kind.part);
  auto config =
      config_of(part, [&](const std::string& source) { return kind.config(weights, facts, source); });
  check_widths(weights);
  result_.parts.push_back(
      {part, "diffusers", std::string(kind.class_name), std::move(config), std::move(weights)});
}

void CheckpointBuilder::check_widths(const StateDict& denoiser) const {
  const auto& kind = *family_.denoiser;
  const auto check = [&](const char* what, const Extent& own, Index other, const std::string& tensors) {
    if (own.tensor.empty() || own.value == other) return;
    throw WeightError(checkpoint_name, result_.source + ": as family " + result_.family +
                                           " its parts do not fit together: " + what + " " +
                                           described(denoiser, own.tensor) + " of the " +
                                           std::string(kind.title) + " against " + tensors);
  };
  const auto check_text = [&](const char* what, bool pooled, const Extent& own) {
    Index total = 0;
    std::string tensors;
    for (const auto& slot : family_.text) {
      if (!(pooled ? slot.gives_pooled : slot.gives_states)) continue;
      const auto* text = result_.find(slot.name);
      if (text == nullptr) return;
      const auto width = text_extent(text->weights, slot, pooled);
      total += width.value;
      tensors += (tensors.empty() ? "" : " and ") + described(text->weights, width.tensor);
    }
    check(what, own, total, tensors);
  };
  check_text("the text's width,", false, kind.states(denoiser));
  check_text("the width of the text in one vector,", true, kind.pooled(denoiser));
  constexpr const char* latents = "decoder.conv_in.weight";
  if (const auto* vae = result_.find("vae"))
    check("the latents' channels,", kind.latents(denoiser), extent(vae->weights, latents, 1),
          described(vae->weights, latents) + " of the autoencoder");
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
    const std::string name(slot.name), tokenizer(slot.tokenizer);
    const auto* part = result_.find(name);
    if (part == nullptr && slot.required) result_.missing.push_back(name);
    if (part == nullptr && !slot.required) {
      index[name] = index[tokenizer] = {nullptr, nullptr};
      continue;
    }
    index[name] = {"transformers", slot_class(slot)};
    index[tokenizer] = {"transformers", tokenizer_of(slot).class_name};
    result_.tokenizers.push_back(tokenizer_of(slot));
    if (part != nullptr) result_.tokenizers.back().vocabulary = vocabulary_in(part->weights);
  }
  index[std::string(family_.denoiser->part)] = {"diffusers", family_.denoiser->class_name};
  const auto* autoencoder = result_.find("vae");
  index["vae"] = {"diffusers",
                  autoencoder == nullptr ? std::string(family_.autoencoder_class) : autoencoder->class_name};
  if (result_.find("vae") == nullptr) result_.missing.emplace_back("vae");
  result_.model_index =
      Config::parse(index.dump(), result_.source + " (model_index)").with(family_.index_options);
  result_.scheduler = std::move(scheduler);
  return std::move(result_);
}

CheckpointTokenizer tokenizer_of(const TextSlot& slot) {
  return {.name = std::string(slot.tokenizer),
          .pads_with_id_0 = slot.kind == TextKind::open_clip,
          .class_name = slot.is_t5() ? "T5TokenizerFast" : "CLIPTokenizer",
          .vocabulary = {}};
}

CheckpointPart lone_autoencoder(StateDict weights, const CheckpointOptions& options,
                                const std::string& source) {
  return autoencoder_part(std::move(weights), given_config(options, "vae", "config.json"), {}, 512, source);
}

CheckpointPart lone_text(StateDict weights, const std::string& family, const CheckpointOptions& options,
                         const std::string& source) {
  const bool is_t5 = family.ends_with("t5"), projects = weights.contains(projection);
  auto config = given_config(options, "text_encoder", "config.json");
  if (!config)
    config =
        is_t5 ? t5_config(weights, source) : clip_text_config(weights, family != "clip-l", projects, source);
  return {"text_encoder", "transformers", is_t5 ? t5_class(weights) : clip_class(projects),
          std::move(*config), std::move(weights)};
}

std::string clip_family(const StateDict& weights, bool open_clip_names) {
  constexpr Index h_width = 1024;
  const Shape table = weights.shape(clip_table);
  const Index width = table.rank() == 0 ? 0 : table[-1];
  if (width < h_width && !open_clip_names) return "clip-l";
  return width == h_width ? "clip-h" : "clip-g";
}

const CheckpointPart* find_denoiser_part(const Checkpoint& checkpoint) {
  const auto found =
      std::find_if(checkpoint.parts.begin(), checkpoint.parts.end(),
                   [](const CheckpointPart& part) { return denoiser_of_class(part.class_name) != nullptr; });
  return found == checkpoint.parts.end() ? nullptr : &*found;
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
    const auto kind = text_kind(part.family);
    const auto slot = std::find_if(family.text.begin(), family.text.end(),
                                   [&](const TextSlot& candidate) { return candidate.kind == kind; });
    if (!kind || slot == family.text.end())
      throw ArgumentError(checkpoint_name, part.source + ": this is " +
                                               (part.title.empty() ? "no part of a model" : part.title) +
                                               ", which a model of family " + base.family +
                                               " has no place for; it takes " + what_it_takes(family));
    take(part, slot->name);
    const auto& own = part.parts.front().weights;
    builder.add_text(*slot, slot->is_t5() ? own : with_layers(own, slot->most_layers));
  }
  for (const auto& slot : family.text)
    if (const auto* own = base.find(slot.name); own != nullptr && !given.contains(slot.name))
      builder.add_text(slot, own->weights);
  if (const auto* own = base.find("vae"); own != nullptr && !given.contains("vae"))
    builder.add_autoencoder(own->weights);
  builder.add_denoiser(find_denoiser_part(base)->weights);
  auto result = builder.finish();
  // What the base was opened with counts, its configurations and its scheduler included.
  for (auto& part : result.parts)
    if (const auto* own = base.find(part.name); own != nullptr && !given.contains(part.name))
      part.config = own->config;
  OrderedJson joined;
  const auto index = OrderedJson::parse(result.model_index->dump());
  for (const auto& slot : family.text)
    if (given.contains(slot.name))
      for (const auto name : {slot.name, slot.tokenizer})
        joined[std::string(name)] = index[std::string(name)];
  if (given.contains("vae")) joined["vae"] = index["vae"];
  result.model_index =
      given.empty() || joined.is_null() ? base.model_index : base.model_index->with(joined.dump());
  result.scheduler = base.scheduler;
  result.unknown = base.unknown;
  result.folder = base.folder;
  // Several files are one no more.
  if (given.empty()) result.file = base.file;
  return result;
}

}  // namespace daguerre::weights
