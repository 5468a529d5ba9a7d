#include <array>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

/// Below `encoder` and `decoder`.
constexpr std::array<Rule, 3> autoencoder_rules{
    {{"norm_out", "conv_norm_out"}, {"conv_in", "conv_in"}, {"conv_out", "conv_out"}}};
constexpr std::array<Rule, 2> autoencoder_mid_resnets{
    {{"mid.block_1", "mid_block.resnets.0"}, {"mid.block_2", "mid_block.resnets.1"}}};
constexpr std::array<Rule, 5> autoencoder_resnet_rules{{{"nin_shortcut", "conv_shortcut"},
                                                        {"norm1", "norm1"},
                                                        {"norm2", "norm2"},
                                                        {"conv1", "conv1"},
                                                        {"conv2", "conv2"}}};
/// Below `mid.attn_1` and `mid_block.attentions.0`. The second of two is what older diffusers wrote.
constexpr std::array<Rule, 9> autoencoder_attention_rules{{{"norm", "group_norm"},
                                                           {"q", "to_q"},
                                                           {"k", "to_k"},
                                                           {"v", "to_v"},
                                                           {"proj_out", "to_out.0"},
                                                           {"q", "query"},
                                                           {"k", "key"},
                                                           {"v", "value"},
                                                           {"proj_out", "proj_attn"}}};
constexpr std::string_view mid_attention = "mid.attn_1.", own_mid_attention = "mid_block.attentions.0.";

using Name = std::optional<std::string>;

Name prefixed(std::string_view prefix, const Name& part) {
  return part ? Name(std::string(prefix).append(*part)) : std::nullopt;
}

/// What follows `encoder.` or `decoder.`; `levels` is how many the decoder has.
Name half_to_diffusers(std::string_view name, int levels) {
  if (auto own = to_diffusers(name, autoencoder_rules)) return own;
  if (auto own = to_diffusers(name, autoencoder_mid_resnets)) {
    const auto place = own->find('.', own->find("resnets.") + 8) + 1;
    return prefixed(own->substr(0, place), to_diffusers(own->substr(place), autoencoder_resnet_rules));
  }
  if (name.starts_with(mid_attention))
    return prefixed(own_mid_attention,
                    to_diffusers(name.substr(mid_attention.size()), autoencoder_attention_rules));
  const auto down = numbered(name, "down."), up = numbered(name, "up.");
  if (!down && !up) return std::nullopt;
  const auto& [level, rest] = down ? *down : *up;
  const auto block =
      down ? joined_name("down_blocks.", level, "") : joined_name("up_blocks.", levels - 1 - level, "");
  if (const auto item = numbered(rest, "block."))
    return prefixed(joined_name(block + "resnets.", item->first, ""),
                    to_diffusers(item->second, autoencoder_resnet_rules));
  if (down) return prefixed(block, to_diffusers(rest, std::array{Rule{"downsample", "downsamplers.0"}}));
  return prefixed(block, to_diffusers(rest, std::array{Rule{"upsample", "upsamplers.0"}}));
}

Name half_from_diffusers(std::string_view name, int levels) {
  if (auto other = from_diffusers(name, autoencoder_rules)) return other;
  if (auto other = from_diffusers(name, autoencoder_mid_resnets)) {
    const auto place = other->find('.', other->find("block_")) + 1;
    return prefixed(other->substr(0, place), from_diffusers(other->substr(place), autoencoder_resnet_rules));
  }
  if (name.starts_with(own_mid_attention))
    return prefixed(mid_attention,
                    from_diffusers(name.substr(own_mid_attention.size()), autoencoder_attention_rules));
  const auto down = numbered(name, "down_blocks."), up = numbered(name, "up_blocks.");
  if (!down && !up) return std::nullopt;
  const auto& [level, rest] = down ? *down : *up;
  const auto block = down ? joined_name("down.", level, "") : joined_name("up.", levels - 1 - level, "");
  if (const auto item = numbered(rest, "resnets."))
    return prefixed(joined_name(block + "block.", item->first, ""),
                    from_diffusers(item->second, autoencoder_resnet_rules));
  if (down) return prefixed(block, from_diffusers(rest, std::array{Rule{"downsample", "downsamplers.0"}}));
  return prefixed(block, from_diffusers(rest, std::array{Rule{"upsample", "upsamplers.0"}}));
}

/// `change` applied to what follows `encoder.` or `decoder.`; the two convolutions between them stay.
template <class Change>
Name either_half(std::string_view name, const Change& change) {
  for (const std::string_view half : {"encoder.", "decoder."})
    if (name.starts_with(half)) return prefixed(half, change(name.substr(half.size())));
  if (name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.")) return std::string(name);
  return std::nullopt;
}

bool is_attention_matrix(std::string_view own_name) {
  return own_name.find(own_mid_attention) != own_name.npos && own_name.ends_with(".weight") &&
         own_name.find(".group_norm.") == own_name.npos;
}

}  // namespace

bool is_ldm_autoencoder(const StateDict& weights) {
  return weights.contains("decoder.conv_in.weight") && weights.contains("decoder.mid.block_1.conv1.weight");
}

StateDict from_ldm_autoencoder(const StateDict& weights) {
  const int levels = count_numbered(weights, "decoder.up.");
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    const auto own =
        either_half(name, [&](std::string_view part) { return half_to_diffusers(part, levels); });
    RenamedTensor tensor{own.value_or(name), name};
    const Shape shape = weights.shape(name);
    if (is_attention_matrix(tensor.name) && shape.rank() == 4 && shape[2] == 1 && shape[3] == 1)
      tensor.shape = Shape{shape[0], shape[1]};
    result.push_back(std::move(tensor));
  }
  return weights.renamed(result);
}

std::vector<JoinedTensor> to_ldm_autoencoder(const StateDict& weights) {
  const int levels = count_numbered(weights, "decoder.up_blocks.");
  std::vector<JoinedTensor> result;
  for (const auto& name : weights.names()) {
    const auto other =
        either_half(name, [&](std::string_view part) { return half_from_diffusers(part, levels); });
    if (!other)
      throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(name) +
                                          " has no place in the autoencoder's original layout");
    Shape shape = weights.shape(name);
    if (is_attention_matrix(name) && shape.rank() == 2) shape = Shape{shape[0], shape[1], 1, 1};
    result.push_back({*other, {name}, shape});
  }
  return result;
}

}  // namespace daguerre::weights::key_maps
