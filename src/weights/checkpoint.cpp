#include "daguerre/weights/checkpoint.hpp"

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/checkpoint_folder.hpp"
#include "weights/key_maps/layouts.hpp"
#include "weights/scaled_tensors.hpp"
#include "weights/transformer_configs.hpp"

namespace daguerre::weights {
namespace {

/// Whether a Stable Diffusion 2 predicts v: one that notes 875,000 steps of training is the base model, which
/// is the reference's rule; others note nothing. Of those the base models' last norm has biases of a smaller
/// spread, which is the rule of ComfyUI.
bool predicts_v(const StateDict& weights, const DenoiserPlace& unet) {
  constexpr float base_steps = 875000, largest_base_spread = 0.09f;
  constexpr std::string_view steps = "global_step";
  if (const auto* info = weights.find(steps); info != nullptr && info->shape.size() == 1)
    return weights.tensor(steps, info->shape).data()[0] != base_steps;
  const std::string name = unet.prefix + (unet.layout == Layout::original
                                              ? "output_blocks.11.1.transformer_blocks.0.norm1.bias"
                                              : "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias");
  const auto* info = weights.find(name);
  if (info == nullptr || info->shape.size() == 0) return true;
  const auto biases = weights.tensor(name, info->shape);
  double sum = 0, squares = 0;
  for (const float bias : biases.span()) {
    sum += bias;
    squares += static_cast<double>(bias) * bias;
  }
  const double count = static_cast<double>(biases.size());
  return std::sqrt(std::max(squares / count - sum / count * (sum / count), 0.0)) > largest_base_spread;
}

/// Refuses text encoders that are laid out as another family's.
void check_text_layout(const StateDict& weights, const FamilyRow& family) {
  const auto belongs = [&](std::string_view prefix) {
    return std::any_of(family.text.begin(), family.text.end(), [&](const TextSlot& slot) {
      return slot.prefix == prefix || slot.other_prefix == prefix;
    });
  };
  for (const auto& other : families())
    for (const auto& slot : other.text) {
      const auto place = find_text(weights, slot);
      if (place && !belongs(place->prefix))
        throw WeightError(checkpoint_name,
                          weights.source() + ": its " + std::string(family.denoiser->title) +
                              " is of family " + std::string(family.name) + ", but its text encoder, below " +
                              in_quotes(place->prefix) + ", is laid out as that of " +
                              std::string(other.name) +
                              "; the option family overrides the one, separate files the other");
    }
}

const FamilyRow& family_of(const StateDict& weights, const DenoiserPlace& denoiser,
                           const CheckpointOptions& options) {
  const std::string title(denoiser.kind->title);
  if (!options.family.empty()) {
    const auto& row = family_called(options.family);
    if (row.denoiser != denoiser.kind)
      throw ArgumentError(checkpoint_name, weights.source() + ": family " + options.family + " needs a " +
                                               std::string(row.denoiser->class_name) + ", the file holds a " +
                                               std::string(denoiser.kind->class_name));
    return row;
  }
  // Some have all the marks of a family that they descend from.
  const auto model = unsupported_model(weights);
  const auto* row = model.empty() ? recognised_family(weights, denoiser) : nullptr;
  if (row != nullptr && row->name == "sd2" && predicts_v(weights, denoiser)) return family_called("sd2-v");
  if (row != nullptr) return *row;
  throw ConfigError(
      checkpoint_name,
      weights.source() + ": " +
          (model.empty() ? "its " + title + " is of no family that is known here"
                         : "this is " + std::string(model) + ", which is not supported as a file") +
          "; nearest are " + nearest_families(weights, denoiser) + "; the option family overrides");
}

Checkpoint whole_model(const StateDict& weights, const DenoiserPlace& denoiser,
                       const CheckpointOptions& options) {
  const auto& family = family_of(weights, denoiser, options);
  if (options.family.empty()) check_text_layout(weights, family);
  CheckpointBuilder builder(family, options, weights.source());
  std::vector<PartPlace> places{{denoiser.prefix, denoiser.layout}};
  for (const auto& slot : family.text)
    if (const auto place = find_text(weights, slot)) {
      builder.add_text(
          slot, slot.is_t5() ? t5_weights(weights, *place) : clip_weights(weights, *place, slot.most_layers));
      places.push_back(*place);
    }
  // Without a prefix the file is a denoiser's alone.
  if (const auto place = find_autoencoder(weights); place && !place->prefix.empty()) {
    builder.add_autoencoder(autoencoder_weights(weights, *place));
    places.push_back(*place);
  }
  builder.add_denoiser(denoiser_weights(weights, denoiser, options.ema));
  if (weights.contains("v_pred")) builder.predict_v(weights.contains("ztsnr"));
  auto result = builder.finish();
  if (!denoiser.prefix.empty()) result.unknown = unknown_names(weights, places);
  result.file = options.ema ? with_averages(weights, denoiser) : weights;
  return result;
}

/// A file of one text encoder or autoencoder.
std::optional<Checkpoint> lone_part(const StateDict& weights, const CheckpointOptions& options) {
  Checkpoint result;
  result.source = weights.source();
  if (const auto place = find_autoencoder(weights)) {
    result.family = "vae";
    result.parts.push_back(lone_autoencoder(autoencoder_weights(weights, *place), options, weights.source()));
    result.unknown = unknown_names(weights, {*place});
  } else if (const auto text = find_lone_text(weights)) {
    const auto own = text->is_t5 ? t5_weights(weights, text->place) : clip_weights(weights, text->place, 0);
    result.family =
        text->is_t5 ? is_umt5(own) ? "umt5" : "t5" : clip_family(own, text->place.layout == Layout::original);
    result.parts.push_back(lone_text(own, result.family, options, weights.source()));
    result.unknown = unknown_names(weights, {text->place});
  } else {
    return std::nullopt;
  }
  result.title = kind_in_words(result.family);
  result.file = weights;
  return result;
}

/// TAESD under diffusers' names, with the half that lies beside the one given, as it is published: its file's
/// name has "encoder" for "decoder", or the other way round. As it is where there is none.
StateDict with_other_half(const StateDict& weights, const std::filesystem::path& path,
                          const SafetensorsOptions& options) {
  const auto own = key_maps::from_original_tiny(weights);
  const bool encodes = own.contains_below("encoder."), decodes = own.contains_below("decoder.");
  if (encodes == decodes) return own;
  const std::string from = encodes ? "encoder" : "decoder", to = encodes ? "decoder" : "encoder";
  auto name = path.filename().string();
  const auto at = name.rfind(from);
  if (at == name.npos) return own;
  const auto other = path.parent_path() / name.replace(at, from.size(), to);
  std::error_code error;
  if (!std::filesystem::is_regular_file(other, error)) return own;
  return own.joined(key_maps::from_original_tiny(StateDict::load(other, options)));
}

}  // namespace

const CheckpointPart* Checkpoint::find(std::string_view name) const {
  const auto found =
      std::find_if(parts.begin(), parts.end(), [&](const CheckpointPart& part) { return part.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

Checkpoint open_checkpoint(const StateDict& stored, const CheckpointOptions& options) {
  const auto weights = with_scales(stored);
  if (!options.family.empty()) family_called(options.family);
  const auto denoiser = find_denoiser(weights);
  if (options.family.empty())
    if (const auto kind = other_kind(weights); !kind.empty() && !denoiser) {
      Checkpoint result;
      result.family = kind;
      result.title = kind_in_words(kind);
      result.source = weights.source();
      result.file = weights;
      return result;
    }
  if (denoiser) return whole_model(weights, *denoiser, options);
  if (auto part = lone_part(weights, options)) return std::move(*part);
  // llama.cpp's names; what it is, a GGUF file says itself.
  if (weights.contains("token_embd.weight") || weights.contains("blk.0.attn_norm.weight")) {
    const auto metadata = weights.metadata();
    const auto architecture = metadata.find("general.architecture");
    throw ConfigError(
        checkpoint_name,
        weights.source() + ": this is a language model" +
            (architecture == metadata.end() ? "" : " (" + in_quotes(architecture->second) + ")") +
            ", which makes no pictures");
  }
  const auto model = unsupported_model(weights);
  if (!model.empty())
    throw ConfigError(checkpoint_name, weights.source() + ": this is " + std::string(model) +
                                           ", which is not supported as a file");
  throw ConfigError(
      checkpoint_name,
      weights.source() + ": not recognised: there is no U-Net (\"input_blocks.0.0.weight\", with " +
          "or without \"model.diffusion_model.\" before it, or diffusers' \"conv_in.weight\"), no " +
          "transformer (\"joint_blocks.0\", \"double_blocks.0\" or \"transformer_blocks.0\"), no " +
          "autoencoder (\"decoder.conv_in.weight\") and no text encoder " +
          "(\"text_model.embeddings.token_embedding.weight\", T5's \"encoder.block.0\"); its first tensor "
          "is " +
          in_quotes(weights.names().empty() ? "" : weights.names().front()));
}

Checkpoint open_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return open_checkpoint_folder(path, options);
  const auto weights = StateDict::load(path, options.file);
  if (!find_denoiser(weights) && key_maps::is_original_tiny(weights))
    return open_checkpoint(with_other_half(weights, path, options.file), options);
  return open_checkpoint(weights, options);
}

Checkpoint join_checkpoints(std::span<const Checkpoint> parts) {
  const Checkpoint* base = nullptr;
  for (const auto& part : parts) {
    if (find_denoiser_part(part) == nullptr) continue;
    if (base != nullptr)
      throw ArgumentError(checkpoint_name, base->source + " and " + part.source +
                                               " both hold a denoiser, a " +
                                               find_denoiser_part(*base)->class_name + " and a " +
                                               find_denoiser_part(part)->class_name);
    base = &part;
  }
  if (base == nullptr)
    throw ArgumentError(checkpoint_name, "none of the files holds a denoiser, a U-Net or a transformer" +
                                             (parts.empty() ? std::string() : ": " + parts.front().source));
  return join_to(*base, parts);
}

std::vector<std::string> missing_in_words(const Checkpoint& checkpoint) {
  std::vector<std::string> result;
  for (const auto& part : checkpoint.missing)
    result.push_back(part_in_words(family_called(checkpoint.family), part));
  return result;
}

std::vector<std::string> checkpoint_families() {
  std::vector<std::string> result;
  for (const auto& family : families()) result.emplace_back(family.name);
  return result;
}

}  // namespace daguerre::weights
