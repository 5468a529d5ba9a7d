#include <array>
#include <set>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 8> unet_rules{{{"time_embed.0", "time_embedding.linear_1"},
                                          {"time_embed.2", "time_embedding.linear_2"},
                                          {"input_blocks.0.0", "conv_in"},
                                          {"out.0", "conv_norm_out"},
                                          {"out.2", "conv_out"},
                                          {"label_emb.0.0", "add_embedding.linear_1"},
                                          {"label_emb.0.2", "add_embedding.linear_2"},
                                          {"middle_block.1", "mid_block.attentions.0"}}};
constexpr std::array<Rule, 2> unet_mid_resnets{
    {{"middle_block.0", "mid_block.resnets.0"}, {"middle_block.2", "mid_block.resnets.1"}}};
constexpr std::array<Rule, 6> unet_resnet_rules{{{"in_layers.0", "norm1"},
                                                 {"in_layers.2", "conv1"},
                                                 {"out_layers.0", "norm2"},
                                                 {"out_layers.3", "conv2"},
                                                 {"emb_layers.1", "time_emb_proj"},
                                                 {"skip_connection", "conv_shortcut"}}};
constexpr std::string_view input_blocks = "input_blocks.", output_blocks = "output_blocks.";

using Names = std::optional<std::string>;

/// Changes the part of a resnet's name that follows `prefix`.
Names resnet_to_diffusers(std::string_view prefix, std::string_view part) {
  const auto name = to_diffusers(part, unet_resnet_rules);
  return name ? Names(std::string(prefix).append(*name)) : std::nullopt;
}
Names resnet_from_diffusers(std::string_view prefix, std::string_view part) {
  const auto name = from_diffusers(part, unet_resnet_rules);
  return name ? Names(std::string(prefix).append(*name)) : std::nullopt;
}

/// Both networks' lists of blocks, their numbers and `layers`, resnets on the way down in each level: the
/// first input block is the first convolution; each level then has `layers` blocks and, but for the last, a
/// downsampler. On the way up each level has one block more, the last of which also has the upsampler.
Names block_to_diffusers(std::string_view name, int layers) {
  const auto down = numbered(name, input_blocks), up = numbered(name, output_blocks);
  if (!down && !up) return std::nullopt;
  const int place = down ? down->first - 1 : up->first;
  if (place < 0) return std::nullopt;
  const int level = place / (layers + 1), layer = place % (layers + 1);
  const auto item = numbered(down ? down->second : up->second, "");
  if (!item) return std::nullopt;
  const auto [slot, part] = *item;
  const std::string block = joined_name(down ? "down_blocks." : "up_blocks.", level, "");
  if (down && part.starts_with("op."))
    return layer == layers ? Names(block + "downsamplers.0.conv." + std::string(part.substr(3)))
                           : std::nullopt;
  if (down && layer == layers) return std::nullopt;
  if (up && part.starts_with("conv.")) return block + "upsamplers.0." + std::string(part);
  if (slot == 0) return resnet_to_diffusers(joined_name(block + "resnets.", layer, ""), part);
  if (slot == 1) return joined_name(block + "attentions.", layer, part);
  return std::nullopt;
}

/// `attending`: the levels on the way up that have attentions.
Names block_from_diffusers(const std::set<int>& attending, std::string_view name, int layers) {
  const auto down = numbered(name, "down_blocks."), up = numbered(name, "up_blocks.");
  if (!down && !up) return std::nullopt;
  const auto& [level, rest] = down ? *down : *up;
  const std::string_view list = down ? input_blocks : output_blocks;
  const int first = level * (layers + 1) + (down ? 1 : 0);
  if (const auto item = numbered(rest, "resnets."))
    return resnet_from_diffusers(joined_name(list, first + item->first, "0."), item->second);
  if (const auto item = numbered(rest, "attentions."))
    return joined_name(list, first + item->first, "1.").append(item->second);
  constexpr std::string_view down_conv = "downsamplers.0.conv.", up_conv = "upsamplers.0.";
  if (down && rest.starts_with(down_conv))
    return joined_name(list, first + layers, "0.op.").append(rest.substr(down_conv.size()));
  if (up && rest.starts_with(up_conv)) {
    const bool attends = attending.contains(level);
    return joined_name(list, first + layers, attends ? "2." : "1.").append(rest.substr(up_conv.size()));
  }
  return std::nullopt;
}

/// The mid block's resnets.
template <class Change>
Names mid_resnet(std::string_view name, bool forward, const Change& change) {
  for (const auto& [other, own] : unet_mid_resnets) {
    const std::string from = std::string(forward ? other : own) + ".",
                      to = std::string(forward ? own : other);
    if (name.starts_with(from)) return change(to + ".", name.substr(from.size()));
  }
  return std::nullopt;
}

}  // namespace

bool is_ldm_unet(const StateDict& weights) {
  return weights.contains("input_blocks.0.0.weight") && weights.contains("time_embed.0.weight") &&
         weights.contains("out.2.weight");
}

StateDict from_ldm_unet(const StateDict& weights) {
  // The first downsampler ends the first level; a network without one has one level.
  int layers = 0;
  const int blocks = count_numbered(weights, input_blocks);
  while (layers + 1 < blocks && !weights.contains(joined_name(input_blocks, layers + 1, "0.op.weight")))
    ++layers;
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    auto own = to_diffusers(name, unet_rules);
    if (!own) own = mid_resnet(name, true, resnet_to_diffusers);
    if (!own) own = block_to_diffusers(name, layers);
    result.push_back({own.value_or(name), name});
  }
  return weights.renamed(result);
}

std::vector<JoinedTensor> to_ldm_unet(const StateDict& weights, Unplaced unplaced) {
  const int layers = count_numbered(weights, "down_blocks.0.resnets.");
  std::set<int> attending;
  for (const auto& name : weights.names())
    if (const auto up = numbered(name, "up_blocks."); up && up->second.starts_with("attentions."))
      attending.insert(up->first);
  std::vector<JoinedTensor> result;
  for (const auto& name : weights.names()) {
    auto other = from_diffusers(name, unet_rules);
    if (!other) other = mid_resnet(name, false, resnet_from_diffusers);
    if (!other) other = block_from_diffusers(attending, name, layers);
    if (!other && unplaced == Unplaced::left_out) continue;
    if (!other)
      throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(name) +
                                          " has no place in the U-Net's original layout");
    result.push_back({*other, {name}, weights.shape(name)});
  }
  return result;
}

}  // namespace daguerre::weights::key_maps
