#include <array>
#include <set>
#include <string>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

/// Outside of the levels.
constexpr std::array<Rule, 14> wan_vae_rules{{{"conv1", "quant_conv"},
                                              {"conv2", "post_quant_conv"},
                                              {"encoder.conv1", "encoder.conv_in"},
                                              {"encoder.head.0", "encoder.norm_out"},
                                              {"encoder.head.2", "encoder.conv_out"},
                                              {"encoder.middle.0", "encoder.mid_block.resnets.0"},
                                              {"encoder.middle.1", "encoder.mid_block.attentions.0"},
                                              {"encoder.middle.2", "encoder.mid_block.resnets.1"},
                                              {"decoder.conv1", "decoder.conv_in"},
                                              {"decoder.head.0", "decoder.norm_out"},
                                              {"decoder.head.2", "decoder.conv_out"},
                                              {"decoder.middle.0", "decoder.mid_block.resnets.0"},
                                              {"decoder.middle.1", "decoder.mid_block.attentions.0"},
                                              {"decoder.middle.2", "decoder.mid_block.resnets.1"}}};
/// Of a residual block.
constexpr std::array<Rule, 5> wan_residual_rules{{{"residual.0", "norm1"},
                                                  {"residual.2", "conv1"},
                                                  {"residual.3", "norm2"},
                                                  {"residual.6", "conv2"},
                                                  {"shortcut", "conv_shortcut"}}};

constexpr std::string_view wan_down = "encoder.downsamples.", wan_up = "decoder.upsamples.";

/// What a residual block's or resampler's own name becomes.
std::string wan_layer_name(std::string_view rest) {
  return to_diffusers(rest, wan_residual_rules).value_or(std::string(rest));
}

/// The layers of a list that change the size, by number.
std::set<int> wan_resamplers(const StateDict& weights, std::string_view list) {
  std::set<int> result;
  for (const auto& name : weights.names())
    if (const auto found = numbered(name, list); found && found->second.starts_with("resample."))
      result.insert(found->first);
  return result;
}

/// Wan 2.2's, whose levels are lists: "0.residual.2.weight" or "2.resample.1.weight" of a level.
std::string wan_level_name(std::string_view rest, std::string_view list, std::string_view resampler) {
  const auto found = numbered(rest, list);
  if (!found) return std::string(rest);
  const auto& [number, own] = *found;
  if (own.starts_with("resample.") || own.starts_with("time_conv."))
    return std::string(resampler).append(".").append(own);
  return joined_name("resnets.", number, wan_layer_name(own));
}

std::string wan_vae_name(const std::string& name, const std::set<int>& up_resamplers) {
  if (const auto down = numbered(name, wan_down)) {
    const auto& [number, rest] = *down;
    const bool is_level = rest.starts_with("downsamples.");
    return joined_name("encoder.down_blocks.", number,
                       is_level ? wan_level_name(rest, "downsamples.", "downsampler") : wan_layer_name(rest));
  }
  if (const auto up = numbered(name, wan_up)) {
    const auto& [number, rest] = *up;
    if (rest.starts_with("upsamples."))
      return joined_name("decoder.up_blocks.", number, wan_level_name(rest, "upsamples.", "upsampler"));
    // Wan 2.1's layers lie in one list, where a resampler ends a level.
    const auto next = up_resamplers.lower_bound(number);
    const auto level = static_cast<int>(std::distance(up_resamplers.begin(), next));
    const int first = next == up_resamplers.begin() ? 0 : *std::prev(next) + 1;
    const auto own = up_resamplers.contains(number)
                         ? std::string("upsamplers.0.").append(rest)
                         : joined_name("resnets.", number - first, wan_layer_name(rest));
    return joined_name("decoder.up_blocks.", level, own);
  }
  auto result = to_diffusers(name, wan_vae_rules).value_or(name);
  for (const std::string_view block : {"encoder.mid_block.resnets.", "decoder.mid_block.resnets."})
    if (const auto found = numbered(result, block))
      return joined_name(block, found->first, wan_layer_name(found->second));
  return result;
}

}  // namespace

bool is_original_wan_autoencoder(const StateDict& weights) {
  return weights.contains("conv2.weight") && weights.contains("decoder.middle.0.residual.0.gamma") &&
         weights.contains("decoder.conv1.weight");
}

StateDict from_original_wan_autoencoder(const StateDict& weights) {
  const auto resamplers = wan_resamplers(weights, wan_up);
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({wan_vae_name(name, resamplers), name});
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps
