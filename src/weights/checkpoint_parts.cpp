#include "weights/checkpoint_parts.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights {
namespace {

template <class Names = std::initializer_list<std::string_view>>
bool has_all(const StateDict& weights, std::string_view prefix, const Names& names) {
  return std::all_of(names.begin(), names.end(), [&](std::string_view name) {
    return weights.contains(std::string(prefix).append(name));
  });
}

bool has_transformers_text(const StateDict& weights, std::string_view prefix) {
  return has_all(weights, prefix, {"text_model.embeddings.token_embedding.weight"}) ||
         has_all(weights, prefix, {"embeddings.token_embedding.weight"});
}
bool has_open_clip(const StateDict& weights, std::string_view prefix) {
  return has_all(weights, prefix, {"positional_embedding", "token_embedding.weight"});
}

constexpr std::string_view t5_query = "encoder.block.0.layer.0.SelfAttention.q.weight";

/// T5 under transformers' names or llama.cpp's.
std::optional<PartPlace> find_t5(const StateDict& weights, std::string_view prefix) {
  if (has_all(weights, prefix, {t5_query})) return PartPlace{std::string(prefix), Layout::diffusers};
  if (prefix.empty() && key_maps::is_llama_t5(weights)) return PartPlace{"", Layout::original};
  return std::nullopt;
}

/// Names that were saved with a model and that nothing reads: what training had, tables that follow from the
/// configuration, and flags that were looked at before.
bool is_left_over(std::string_view name) {
  static constexpr std::array<std::string_view, 26> whole{"alphas_cumprod",
                                                          "alphas_cumprod_prev",
                                                          "betas",
                                                          "log_one_minus_alphas_cumprod",
                                                          "logvar",
                                                          "lvlb_weights",
                                                          "posterior_log_variance_clipped",
                                                          "posterior_mean_coef1",
                                                          "posterior_mean_coef2",
                                                          "posterior_variance",
                                                          "scale_factor",
                                                          "sqrt_alphas_cumprod",
                                                          "sqrt_one_minus_alphas_cumprod",
                                                          "sqrt_recip_alphas_cumprod",
                                                          "sqrt_recipm1_alphas_cumprod",
                                                          "global_step",
                                                          "denoiser.sigmas",
                                                          "v_pred",
                                                          "ztsnr",
                                                          "logit_scale",
                                                          "sigmas",
                                                          "log_sigmas",
                                                          "model.alphas_cumprod",
                                                          "model.betas",
                                                          "text_projection",
                                                          "text_projection.weight"};
  static constexpr std::array<std::string_view, 5> ends{".position_ids", ".logit_scale", ".y_embedding",
                                                        ".attn_mask", ".num_batches_tracked"};
  static constexpr std::array<std::string_view, 7> begins{
      "model_ema.", "embedding_manager.", "first_stage_model.loss.",
      "loss.",      "vision_model.",      "visual_projection.",
      "visual."};
  return std::find(whole.begin(), whole.end(), name) != whole.end() || name == "position_ids" ||
         std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); }) ||
         std::any_of(begins.begin(), begins.end(),
                     [&](std::string_view begin) { return name.starts_with(begin); });
}

template <class Keep>
StateDict filtered(const StateDict& weights, const Keep& keep) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names())
    if (keep(name)) result.push_back({name, name});
  return weights.renamed(result);
}

StateDict part_below(const StateDict& weights, std::string_view prefix) {
  return filtered(key_maps::below(weights, prefix), [](const std::string& name) {
    return !is_left_over(name) || name.starts_with("text_projection");
  });
}

/// What LitEma calls the average of a tensor of the U-Net.
std::string average_name(std::string_view name) {
  std::string flat = "model_ema.diffusion_model";
  for (const char c : name)
    if (c != '.') flat += c;
  return flat;
}

}  // namespace

std::optional<DenoiserPlace> find_denoiser(const StateDict& weights) {
  for (const auto layout : {Layout::original, Layout::diffusers})
    for (const auto* kind : denoiser_kinds())
      for (const std::string_view prefix : {"model.diffusion_model.", "diffusion_model.", ""})
        if (has_all(weights, prefix, kind->names(layout)))
          return DenoiserPlace{std::string(prefix), layout, kind};
  return std::nullopt;
}

std::optional<PartPlace> find_autoencoder(const StateDict& weights) {
  for (const std::string_view prefix : {"first_stage_model.", "vae.", ""}) {
    // A codebook makes it a VQModel; kernels of films have an axis more.
    if (key_maps::is_original_wan_autoencoder(key_maps::below(weights, prefix)))
      return PartPlace{std::string(prefix), Layout::original};
    if (is_wan_autoencoder(key_maps::below(weights, prefix)))
      return PartPlace{std::string(prefix), Layout::diffusers};
    const auto* first = weights.find(std::string(prefix) + "decoder.conv_in.weight");
    if (first == nullptr || first->shape.rank() != 4 ||
        has_all(weights, prefix, {"quantize.embedding.weight"}))
      continue;
    if (has_all(weights, prefix, {"decoder.conv_in.weight", "decoder.mid.block_1.conv1.weight"}))
      return PartPlace{std::string(prefix), Layout::original};
    if (has_all(weights, prefix, {"decoder.conv_in.weight", "decoder.mid_block.resnets.0.conv1.weight"}))
      return PartPlace{std::string(prefix), Layout::diffusers};
  }
  if (key_maps::is_original_tiny(weights)) return PartPlace{"", Layout::original};
  if (has_all(weights, "", {"decoder.layers.0.weight", "decoder.layers.2.conv.0.weight"}))
    return PartPlace{"", Layout::diffusers};
  return std::nullopt;
}

std::optional<PartPlace> find_text(const StateDict& weights, const TextSlot& slot) {
  for (const auto prefix : {slot.prefix, slot.other_prefix}) {
    if (prefix.empty()) continue;
    if (slot.is_t5()) {
      if (auto place = find_t5(weights, prefix)) return place;
    } else if (slot.open_clip_names) {
      if (has_open_clip(weights, prefix)) return PartPlace{std::string(prefix), Layout::original};
    } else if (has_transformers_text(weights, prefix)) {
      return PartPlace{std::string(prefix), Layout::diffusers};
    }
  }
  return std::nullopt;
}

std::optional<LoneText> find_lone_text(const StateDict& weights) {
  for (const std::string_view prefix :
       {"", "transformer.", "cond_stage_model.transformer.", "conditioner.embedders.0.transformer.",
        "text_encoders.clip_l.transformer.", "text_encoders.clip_g.transformer.", "clip_l.transformer.",
        "clip_g.transformer."})
    if (has_transformers_text(weights, prefix)) return LoneText{{std::string(prefix), Layout::diffusers}};
  if (weights.contains("clip.text_model.embeddings.token_embedding.weight"))
    return LoneText{{"", Layout::diffusers}};
  for (const std::string_view prefix : {"", "model.", "cond_stage_model.model.",
                                        "conditioner.embedders.0.model.", "conditioner.embedders.1.model."})
    if (has_open_clip(weights, prefix)) return LoneText{{std::string(prefix), Layout::original}};
  for (const std::string_view prefix :
       {"", "transformer.", "text_encoders.t5xxl.transformer.", "t5xxl.transformer."})
    if (auto place = find_t5(weights, prefix)) return LoneText{std::move(*place), true};
  return std::nullopt;
}

StateDict denoiser_weights(const StateDict& weights, const DenoiserPlace& place, bool ema) {
  if (place.layout == Layout::diffusers) return part_below(weights, place.prefix);
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    if (!name.starts_with(place.prefix)) continue;
    const auto own = name.substr(place.prefix.size());
    if (is_left_over(place.prefix.empty() ? name : own)) continue;
    auto average = ema ? average_name(own) : std::string();
    result.push_back({own, weights.contains(average) ? std::move(average) : name});
  }
  return place.kind->from_original(weights.renamed(result));
}

StateDict with_averages(const StateDict& weights, const DenoiserPlace& denoiser) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    auto average = name.starts_with(denoiser.prefix) ? average_name(name.substr(denoiser.prefix.size())) : "";
    result.push_back({name, weights.contains(average) ? std::move(average) : name});
  }
  return weights.renamed(result);
}

StateDict autoencoder_weights(const StateDict& weights, const PartPlace& place) {
  const auto own = part_below(weights, place.prefix);
  if (place.layout != Layout::original) return own;
  if (key_maps::is_original_tiny(own)) return key_maps::from_original_tiny(own);
  if (key_maps::is_original_wan_autoencoder(own)) return key_maps::from_original_wan_autoencoder(own);
  return key_maps::from_ldm_autoencoder(own);
}

StateDict clip_weights(const StateDict& weights, const PartPlace& place, int most_layers) {
  const auto own = part_below(weights, place.prefix);
  if (place.layout == Layout::original) return with_layers(key_maps::from_open_clip(own), most_layers);
  return with_layers(key_maps::is_renamed_clip(own) ? key_maps::from_renamed_clip(own) : own, most_layers);
}

StateDict t5_weights(const StateDict& weights, const PartPlace& place) {
  const auto own = key_maps::below(weights, place.prefix);
  return filtered(
      place.layout == Layout::original ? key_maps::from_llama_t5(own) : own,
      [](const std::string& name) { return name.starts_with("encoder.") || name == "shared.weight"; });
}

StateDict without_projection(const StateDict& text) {
  return filtered(text, [](const std::string& name) { return !name.starts_with("text_projection"); });
}

StateDict with_layers(const StateDict& text, int most_layers) {
  if (most_layers == 0) return text;
  return filtered(text, [&](const std::string& name) {
    const auto layer = key_maps::numbered(name, "text_model.encoder.layers.");
    return !layer || layer->first < most_layers;
  });
}

std::vector<std::string> unknown_names(const StateDict& weights, const std::vector<PartPlace>& places) {
  std::vector<std::string> result;
  for (const auto& name : weights.names())
    if (!is_left_over(name) && std::none_of(places.begin(), places.end(), [&](const PartPlace& place) {
          return name.starts_with(place.prefix);
        }))
      result.push_back(name);
  return result;
}

std::string_view other_kind(const StateDict& weights) {
  const auto names = weights.names();
  const auto any = [&](std::initializer_list<std::string_view> parts) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return std::any_of(parts.begin(), parts.end(),
                         [&](std::string_view part) { return name.find(part) != name.npos; });
    });
  };
  const bool named_as_lora = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("lora_unet_") || name.starts_with("lora_te");
  });
  if (named_as_lora || any({".lora_down.", ".lora_up.", ".lora.down.", "_lora.down.", ".lora_A.",
                            ".hada_w1_a", ".lokr_w1", ".lokr_w2", ".dora_scale"}))
    return "lora";
  for (const std::string_view prefix : {"", "control_model."})
    if (has_all(weights, prefix, {"input_hint_block.0.weight"})) return "controlnet";
  for (const std::string_view prefix :
       {"controlnet_cond_embedding.", "controlnet_down_blocks.", "controlnet_blocks."})
    if (weights.contains_below(prefix)) return "controlnet";
  if (key_maps::is_original_t2i_adapter(weights) || weights.contains_below("adapter.body."))
    return "t2i-adapter";
  // A few vectors, named after their word or encoder, or as wide as the states of text encoders that there
  // are.
  constexpr std::array<Index, 3> widths{768, 1024, 1280};
  const bool vectors =
      !names.empty() && names.size() <= 4 &&
      std::all_of(names.begin(), names.end(), [&](const std::string& name) {
        const Shape shape = weights.shape(name);
        const bool is_word = (name.starts_with('<') && name.ends_with('>')) || name == "clip_l" ||
                             name == "clip_g" || name == "emb_params";
        return (shape.rank() == 1 || shape.rank() == 2) && shape[-1] > 0 && shape.size() / shape[-1] <= 512 &&
               !name.ends_with(".weight") && !name.ends_with(".bias") &&
               (is_word || std::find(widths.begin(), widths.end(), shape[-1]) != widths.end());
      });
  return vectors ? "textual-inversion" : "";
}

std::string_view kind_in_words(std::string_view kind) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> words{
      {{"lora", "a LoRA, which changes a model and is none itself"},
       {"controlnet", "a ControlNet, which steers a model and is none itself"},
       {"t2i-adapter", "a T2I-Adapter, which steers a model and is none itself"},
       {"textual-inversion", "a textual inversion, words for a model's text encoder"},
       {"t5", "a T5 text encoder alone"},
       {"umt5", "a umT5 text encoder alone"},
       {"vae", "an autoencoder alone"},
       {"clip-l", "a CLIP text encoder alone"},
       {"clip-h", "an OpenCLIP H text encoder alone"},
       {"clip-g", "an OpenCLIP bigG text encoder alone"}}};
  for (const auto& [name, text] : words)
    if (name == kind) return text;
  return {};
}

}  // namespace daguerre::weights
