#include "weights/adapters/keys.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daguerre/weights/adapter_file.hpp"

namespace daguerre::weights::adapters {
namespace {

using Suffix = std::pair<std::string_view, Role>;

/// Those that end like others come first.
constexpr std::array<Suffix, 39> adapter_suffixes{{{".lora_down.weight", Role::down},
                                                   {".lora_up.weight", Role::up},
                                                   {".lora_mid.weight", Role::mid},
                                                   {".lora_up.bias", Role::up_bias},
                                                   {".lora_A.weight", Role::down},
                                                   {".lora_B.weight", Role::up},
                                                   {".lora_B.bias", Role::up_bias},
                                                   {".lora_A.default.weight", Role::down},
                                                   {".lora_B.default.weight", Role::up},
                                                   {".lora_B.default.bias", Role::up_bias},
                                                   {".lora_linear_layer.down.weight", Role::down},
                                                   {".lora_linear_layer.up.weight", Role::up},
                                                   {".lora.down.weight", Role::down},
                                                   {".lora.up.weight", Role::up},
                                                   {".alpha", Role::alpha},
                                                   {".scalar", Role::scalar},
                                                   {".dora_scale", Role::magnitude},
                                                   {".lora_magnitude_vector.default.weight", Role::magnitude},
                                                   {".lora_magnitude_vector.weight", Role::magnitude},
                                                   {".lora_magnitude_vector", Role::magnitude},
                                                   {".hada_w1_a", Role::hada_w1_a},
                                                   {".hada_w1_b", Role::hada_w1_b},
                                                   {".hada_w2_a", Role::hada_w2_a},
                                                   {".hada_w2_b", Role::hada_w2_b},
                                                   {".hada_t1", Role::hada_t1},
                                                   {".hada_t2", Role::hada_t2},
                                                   {".lokr_w1", Role::lokr_w1},
                                                   {".lokr_w1_a", Role::lokr_w1_a},
                                                   {".lokr_w1_b", Role::lokr_w1_b},
                                                   {".lokr_w2", Role::lokr_w2},
                                                   {".lokr_w2_a", Role::lokr_w2_a},
                                                   {".lokr_w2_b", Role::lokr_w2_b},
                                                   {".lokr_t2", Role::lokr_t2},
                                                   {".diff", Role::diff},
                                                   {".w_norm", Role::diff},
                                                   {".diff_b", Role::diff_bias},
                                                   {".b_norm", Role::diff_bias},
                                                   {".on_input", Role::on_input},
                                                   {".scale", Role::scale}}};
/// What follows "to_q_lora" in the layouts that have the factors in attention processors.
constexpr std::array<Suffix, 3> processor_suffixes{
    {{".down.weight", Role::down}, {".up.weight", Role::up}, {".alpha", Role::alpha}}};

/// Prefixes and the parts that they stand for; an empty part is told by what follows. Those that begin like
/// others come first.
constexpr std::array<std::pair<std::string_view, std::string_view>, 26> adapter_prefixes{
    {{"lora_unet_", AdapterFile::denoiser},
     {"lora_transformer_", AdapterFile::denoiser},
     {"lora_te1_", AdapterFile::text_encoder},
     {"lora_te2_", AdapterFile::text_encoder_2},
     {"lora_te3_", AdapterFile::text_encoder_3},
     {"lora_te_", AdapterFile::text_encoder},
     {"lycoris_", ""},
     {"unet.", AdapterFile::denoiser},
     {"transformer.", AdapterFile::denoiser},
     {"model.diffusion_model.", AdapterFile::denoiser},
     {"diffusion_model.", AdapterFile::denoiser},
     {"text_encoder.", AdapterFile::text_encoder},
     {"text_encoder_2.", AdapterFile::text_encoder_2},
     {"text_encoder_3.", AdapterFile::text_encoder_3},
     {"text_encoders.clip_l.transformer.", AdapterFile::text_encoder},
     {"text_encoders.clip_h.transformer.", AdapterFile::text_encoder},
     {"text_encoders.clip_g.transformer.", AdapterFile::text_encoder_2},
     {"text_encoders.t5xxl.transformer.", AdapterFile::text_encoder_3},
     {"text_encoders.clip_l.", AdapterFile::text_encoder},
     {"text_encoders.clip_h.", AdapterFile::text_encoder},
     {"text_encoders.clip_g.", AdapterFile::text_encoder_2},
     {"text_encoders.t5xxl.", AdapterFile::text_encoder_3},
     {"clip_l.", AdapterFile::text_encoder},
     {"clip_g.", AdapterFile::text_encoder_2},
     {"t5xxl.", AdapterFile::text_encoder_3},
     {"", ""}}};

bool take_end(std::string_view& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.remove_suffix(end.size());
  return true;
}

void replace_end(std::string& text, std::string_view end, std::string_view by) {
  if (text.ends_with(end)) text.replace(text.size() - end.size(), end.size(), by);
}

/// XLabs' processors hold what a block's own layers are in the original layout: of a block of two streams
/// the picture's (1) and the prompt's (2).
std::string xlabs_layer(std::string_view block, std::string_view layer, char stream) {
  std::string result(block);
  if (stream == 0) return result.append(layer == "qkv" ? ".qkv" : ".linear2");
  return result.append(stream == '1' ? ".img_attn." : ".txt_attn.").append(layer);
}

/// A module whose factors are kept in its attention's processor; nothing where the name is of another form.
std::optional<std::string> processor_module(std::string_view stem) {
  char stream = 0;
  if (stem.ends_with("_lora1") || stem.ends_with("_lora2")) {
    stream = stem.back();
    stem.remove_suffix(1);
  }
  if (!take_end(stem, "_lora")) return std::nullopt;
  const auto dot = stem.rfind('.');
  if (dot == stem.npos) return std::nullopt;
  const auto layer = stem.substr(dot + 1);
  auto owner = stem.substr(0, dot);
  const bool in_processor = take_end(owner, ".processor");
  if (in_processor && (layer == "qkv" || layer == "proj")) return xlabs_layer(owner, layer, stream);
  if (stream != 0) return std::nullopt;
  return std::string(owner).append(".").append(layer);
}

/// The older names of attention's layers.
void use_own_names(std::string& module, std::string_view part) {
  if (part == AdapterFile::denoiser) {
    if (module.ends_with(".to_out")) module += ".0";
    return;
  }
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> names{
      {{".to_q", ".q_proj"}, {".to_k", ".k_proj"}, {".to_v", ".v_proj"}, {".to_out", ".out_proj"}}};
  for (const auto& [from, to] : names) replace_end(module, from, to);
}

bool is_text_encoder(std::string_view module) {
  constexpr std::array<std::string_view, 4> begins{"text_model.", "text_model_", "encoder.block.",
                                                   "encoder_block_"};
  return std::any_of(begins.begin(), begins.end(),
                     [&](std::string_view begin) { return module.starts_with(begin); });
}

Key placed_key(std::string module, Role role, std::string_view suffix) {
  constexpr std::string_view peft = "base_model.model.";
  if (module.starts_with(peft)) module.erase(0, peft.size());
  std::string_view part;
  for (const auto& [prefix, owner] : adapter_prefixes)
    if (module.starts_with(prefix)) {
      module.erase(0, prefix.size());
      part = owner;
      break;
    }
  if (part.empty()) part = is_text_encoder(module) ? AdapterFile::text_encoder : AdapterFile::denoiser;
  use_own_names(module, part);
  return {std::string(part), flattened(module), role, std::string(suffix)};
}

}  // namespace

std::string flattened(std::string_view name) {
  std::string result(name);
  std::replace(result.begin(), result.end(), '.', '_');
  return result;
}

std::optional<Key> parse_key(std::string_view key) {
  for (const auto& [suffix, role] : processor_suffixes)
    if (key.ends_with(suffix))
      if (auto module = processor_module(key.substr(0, key.size() - suffix.size())))
        return placed_key(std::move(*module), role, suffix);
  constexpr Suffix whole_weight{".weight", Role::weight};
  const auto found = std::find_if(adapter_suffixes.begin(), adapter_suffixes.end(),
                                  [&](const Suffix& suffix) { return key.ends_with(suffix.first); });
  const auto& [suffix, role] = found == adapter_suffixes.end() ? whole_weight : *found;
  if (!key.ends_with(suffix) || key.size() == suffix.size()) return std::nullopt;
  return placed_key(std::string(key.substr(0, key.size() - suffix.size())), role, suffix);
}

std::string family_of(const std::vector<Module>& modules) {
  constexpr std::array<std::string_view, 6> unet{"down_blocks_",  "up_blocks_",     "mid_block_",
                                                 "input_blocks_", "output_blocks_", "middle_block_"};
  bool is_unet = false, is_sdxl = false, has_second_encoder = false, is_sd3 = false, is_pixart = false;
  Index prompt_width = 0;
  for (const auto& module : modules) {
    const std::string_view name = module.name;
    const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
    has_second_encoder |= module.part == AdapterFile::text_encoder_2;
    if (module.part != AdapterFile::denoiser) continue;
    if (has("double_blocks_") || has("single_blocks_") || has("single_transformer_blocks_")) return "FLUX";
    is_sd3 |= has("joint_blocks_") || has("_add_q_proj") || has("_ff_context_") || has("_norm1_context_");
    is_pixart |= has("adaln_single_") || has("caption_projection_") || has("_cross_attn_") ||
                 (name.starts_with("transformer_blocks_") && has("_attn1_"));
    if (!std::any_of(unet.begin(), unet.end(), [&](auto begin) { return name.starts_with(begin); })) {
      is_sdxl |= has("label_emb_") || has("add_embedding_");
      continue;
    }
    is_unet = true;
    constexpr std::string_view list = "_transformer_blocks_";
    const auto at = name.find(list);
    is_sdxl |= at != name.npos && name.substr(at + list.size(), 2) != "0_";
    if (name.ends_with("_attn2_to_k") && module.has(Role::down) && module[Role::down].rank() >= 2)
      prompt_width = module[Role::down].shape().tail().size();
  }
  if (is_sd3) return "SD 3";
  if (is_pixart) return "PixArt";
  if (is_sdxl || (is_unet && (has_second_encoder || prompt_width == 2048))) return "SDXL";
  if (!is_unet) return "";
  return prompt_width == 768 ? "SD 1" : prompt_width == 1024 ? "SD 2" : "SD 1 or 2";
}

}  // namespace daguerre::weights::adapters
