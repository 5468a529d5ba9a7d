#include <string>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

/// Networks beside a denoiser, in the layouts of their authors.
namespace daguerre::weights::key_maps {
namespace {

constexpr std::string_view hint_block = "input_hint_block.", adapter_body = "body.";

/// Convolutions are numbered with the activations between them: the first, pairs, the last.
std::string hint_name(const std::string& prefix, int layer, int last, std::string_view rest) {
  if (layer == 0) return (prefix + "conv_in.").append(rest);
  if (layer == last) return (prefix + "conv_out.").append(rest);
  return joined_name(prefix + "blocks.", layer / 2 - 1, rest);
}

/// `weights` with those names changed that `change` gives another one.
template <class Change>
StateDict with_changed(const StateDict& weights, const Change& change) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({change(name).value_or(name), name});
  return weights.renamed(result);
}

using MaybeName = std::optional<std::string>;

}  // namespace

bool is_ldm_control_net(const StateDict& weights) {
  return weights.contains("zero_convs.0.0.weight") && weights.contains("input_hint_block.0.weight") &&
         weights.contains("input_blocks.0.0.weight");
}

StateDict from_ldm_control_net(const StateDict& weights) {
  const int last = count_numbered(weights, hint_block) - 1;
  return from_ldm_unet(with_changed(weights, [&](const std::string& name) -> MaybeName {
    if (const auto hint = numbered(name, hint_block))
      return hint_name("controlnet_cond_embedding.", hint->first, last, hint->second);
    if (const auto zero = numbered(name, "zero_convs."); zero && zero->second.starts_with("0."))
      return joined_name("controlnet_down_blocks.", zero->first, zero->second.substr(2));
    constexpr std::string_view middle = "middle_block_out.0.";
    if (name.starts_with(middle)) return "controlnet_mid_block." + name.substr(middle.size());
    return std::nullopt;
  }));
}

bool is_original_t2i_adapter(const StateDict& weights) {
  return weights.contains("body.0.block1.weight") || weights.contains("body.0.body.0.block1.weight");
}

StateDict from_original_t2i_adapter(const StateDict& weights) {
  const bool light = !weights.contains("body.0.block1.weight");
  const int blocks = count_numbered(weights, adapter_body);
  // The first block of a level changes the number of channels, of all levels but the first.
  int level = 1;
  while (level < blocks && !weights.contains(joined_name(adapter_body, level, "in_conv.weight"))) ++level;
  return with_changed(weights, [&](const std::string& name) -> MaybeName {
    const auto block = numbered(name, adapter_body);
    if (!block) return "adapter." + name;
    const auto& [number, rest] = *block;
    if (light) {
      const auto layer = numbered(rest, adapter_body);
      return joined_name("adapter.body.", number,
                         layer ? joined_name("resnets.", layer->first, layer->second) : std::string(rest));
    }
    if (rest.starts_with("skep.") || rest.starts_with("down_opt."))
      throw WeightError(weights_name, weights.source() + ": " + in_quotes(name) +
                                          " is of a kind of T2I-Adapter that was never published");
    if (rest.starts_with("in_conv.")) return joined_name("adapter.body.", number / level, rest);
    return joined_name("adapter.body.", number / level, joined_name("resnets.", number % level, rest));
  });
}

bool is_xlabs_control_net(const StateDict& weights) {
  return weights.contains("controlnet_blocks.0.weight") && weights.contains("input_hint_block.0.weight") &&
         weights.contains("double_blocks.0.img_attn.qkv.weight");
}

StateDict from_xlabs_control_net(const StateDict& weights) {
  const int last = count_numbered(weights, hint_block) - 1;
  return from_original_flux(with_changed(weights, [&](const std::string& name) -> MaybeName {
    if (const auto hint = numbered(name, hint_block))
      return hint_name("input_hint_block.", hint->first, last, hint->second);
    constexpr std::string_view picture = "pos_embed_input.";
    if (name.starts_with(picture)) return "controlnet_x_embedder." + name.substr(picture.size());
    return std::nullopt;
  }));
}

}  // namespace daguerre::weights::key_maps
