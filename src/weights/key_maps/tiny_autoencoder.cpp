#include <array>
#include <string>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

/// Half of the autoencoder: the names before its layers' numbers, and what tells it when there are none.
struct TinyHalf {
  std::string_view part;
  std::array<std::string_view, 2> prefixes;
  int first;  ///< number of the first layer with weights, which is diffusers' 0
};
constexpr std::array<TinyHalf, 2> tiny_halves{{{"encoder.layers.", {"taesd_encoder.", "encoder."}, 0},
                                               {"decoder.layers.", {"taesd_decoder.", "decoder."}, 1}}};

/// Whether layers begin behind `prefix` as they do in that half: a convolution, then a block of three.
bool has_tiny_layers(const StateDict& weights, const std::string& prefix, const TinyHalf& half) {
  const int block = half.first == 0 ? 1 : 3;
  return weights.contains(joined_name(prefix, half.first, "weight")) &&
         weights.contains(joined_name(prefix, block, "conv.0.weight"));
}

}  // namespace

bool is_original_tiny(const StateDict& weights) {
  for (const auto& half : tiny_halves) {
    for (const auto prefix : half.prefixes)
      if (has_tiny_layers(weights, std::string(prefix), half)) return true;
    if (has_tiny_layers(weights, "", half)) return true;
  }
  return false;
}

StateDict from_original_tiny(const StateDict& weights) {
  // A half that is alone has no prefix; both begin with a convolution, but not at the same number.
  const bool decoder_alone = has_tiny_layers(weights, "", tiny_halves[1]);
  const auto changed = [&](const std::string& name) -> std::string {
    for (const auto& half : tiny_halves) {
      for (const auto prefix : half.prefixes)
        if (const auto layer = numbered(name, prefix))
          return joined_name(half.part, layer->first - half.first, layer->second);
      const bool alone = (half.first == 1) == decoder_alone;
      if (const auto layer = numbered(name, ""); alone && layer)
        return joined_name(half.part, layer->first - half.first, layer->second);
    }
    return name;
  };
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({changed(name), name});
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps
