#pragma once

#include "daguerre/nn/adaptation.hpp"
#include "daguerre/nn/loader.hpp"
#include "daguerre/ops/low_rank-inl.hpp"

namespace daguerre::nn::detail {

/// The layer as the adaptation of its loaders has it: the base's, `extend(base, change)` or `pack()`. `fuses`
/// says that something follows the product inside of the layer, so that nothing can be added to it.
template <class Layer, class Pack, class Extend>
std::shared_ptr<const Layer> adapted_layer(const LayerTensors& tensors, const std::string& how, bool fuses,
                                           const Pack& pack, const Extend& extend) {
  const auto* adaptation = tensors.modules.front().adaptation.get();
  if (adaptation == nullptr) return pack();
  const auto key = layer_key(tensors, how);
  std::shared_ptr<const Layer> layer;
  if (const auto base = adaptation->base ? adaptation->base->template find<Layer>(key) : nullptr) {
    if (!is_changed(tensors))
      layer = base;
    else if (!fuses)
      if (const auto change = low_rank_change(tensors)) layer = extend(base, *change);
  }
  if (layer == nullptr) layer = pack();
  if (adaptation->record) adaptation->record->keep(key, layer);
  return layer;
}

}  // namespace daguerre::nn::detail
