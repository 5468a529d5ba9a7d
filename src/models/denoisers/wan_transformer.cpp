#include <algorithm>
#include <functional>
#include <string>

#include "daguerre/models/denoisers/wan_transformer-inl.hpp"

namespace daguerre::models {
namespace {

constexpr const char* wan_name = "wan";
constexpr const char* wan_class = "WanTransformer3DModel";
constexpr const char* wan_vace_class = "WanVACETransformer3DModel";

/// The layers behind which a control is added, and what it is made of.
void read_vace(const Config& config, WanTransformerConfig& result) {
  result.vace_layers = config.is_list("vace_layers") ? config.require_ints("vace_layers")
                                                     : std::vector{0, 5, 10, 15, 20, 25, 30, 35};
  result.vace_in_channels = config.get("vace_in_channels", 96);
  const auto& layers = result.vace_layers;
  const bool ascends = std::adjacent_find(layers.begin(), layers.end(), std::greater_equal()) == layers.end();
  // The reference has the first control join before the first block, wherever the hints are added.
  if (layers.empty() || !ascends || layers.front() != 0 || layers.back() >= result.num_layers ||
      result.vace_in_channels < 1)
    throw ConfigError(
        wan_name, config.source() + ": vace_layers must begin with 0, ascend and name some of the " +
                      std::to_string(result.num_layers) + " layers, and vace_in_channels must be positive");
}

void check_wan(const WanTransformerConfig& read, const Config& config) {
  const auto refuse = [&](const std::string& why) {
    throw ConfigError(wan_name, config.source() + ": " + why);
  };
  const auto& patch = read.patch_size;
  const bool possible =
      patch.size() == 3 && std::all_of(patch.begin(), patch.end(), [](Index extent) { return extent > 0; }) &&
      read.num_attention_heads > 0 && read.attention_head_dim > 0 && read.in_channels > 0 &&
      read.out_channels > 0 && read.text_dim > 0 && read.freq_dim > 0 && read.ffn_dim > 0 &&
      read.num_layers > 0 && read.image_dim >= 0 && read.rope_max_seq_len > 0 && read.pos_embed_seq_len >= 0;
  if (!possible) refuse("heads, channels, widths, layers and patch_size, three numbers, must be positive");
  if (patch[1] != patch[2])
    refuse("patches of " + std::to_string(patch[1]) + " x " + std::to_string(patch[2]) +
           " are not square, which is not supported");
  // The reference cuts its tables at d - 2 (d / 3) and d / 3, and fills them by 2 (d / 6).
  if (const Index rest = read.attention_head_dim % 6; read.attention_head_dim < 6 || (rest != 0 && rest != 2))
    refuse("attention_head_dim is " + std::to_string(read.attention_head_dim) +
           ", of which no three axes can be turned: it must leave 0 or 2 when divided by 6");
}

}  // namespace

WanTransformerConfig WanTransformerConfig::from(const Config& config) {
  const auto name = config.class_name();
  if (name != wan_class && name != wan_vace_class)
    throw ConfigError(wan_name, config.source() + ": class \"" + name + "\" is neither " + wan_class +
                                    " nor " + wan_vace_class);
  config.expect("qk_norm", {"\"rms_norm_across_heads\"", "null"});  // the reference has that one always
  WanTransformerConfig result;
  if (config.is_list("patch_size")) {
    const auto patch = config.require_ints("patch_size");
    result.patch_size.assign(patch.begin(), patch.end());
  }
  result.num_attention_heads = config.get("num_attention_heads", 40);
  result.attention_head_dim = config.get("attention_head_dim", 128);
  result.in_channels = config.get("in_channels", 16);
  result.out_channels =
      config.is_null("out_channels") ? result.in_channels : Index{config.get("out_channels", 16)};
  result.text_dim = config.get("text_dim", 4096);
  result.freq_dim = config.get("freq_dim", 256);
  result.ffn_dim = config.get("ffn_dim", 13824);
  result.num_layers = config.get("num_layers", 40);
  result.cross_attn_norm = config.get("cross_attn_norm", true);
  result.eps = static_cast<float>(config.get("eps", 1e-6));
  result.image_dim = config.optional_int("image_dim").value_or(0);
  const auto added = config.optional_int("added_kv_proj_dim");
  result.added_kv = added.has_value();
  result.rope_max_seq_len = config.get("rope_max_seq_len", 1024);
  result.pos_embed_seq_len = config.optional_int("pos_embed_seq_len").value_or(0);
  if (name == wan_vace_class) read_vace(config, result);
  config.finish();
  check_wan(result, config);
  if (added && (*added != result.dim() || result.image_dim == 0))
    throw ConfigError(wan_name, config.source() + ": added_kv_proj_dim is " + std::to_string(*added) +
                                    ", which must be the " + std::to_string(result.dim()) +
                                    " that a picture's tokens of image_dim become");
  return result;
}

template class detail::WanBlock<float>;
template class detail::WanBlock<bfloat16>;
template class WanTransformer<float>;
template class WanTransformer<bfloat16>;

}  // namespace daguerre::models
