#pragma once

#include "daguerre/nn/adaptation.hpp"
#include "daguerre/ops/context.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::nn {

/// What a layer is made from: its place in the weights, and the context that packs them, whose pool holds
/// what is packed and then forgotten.
struct Loader {
  weights::Scope scope;
  ops::Context context;
  /// The network that this one differs from; nullptr: there is none, and nobody wants to know of this one.
  std::shared_ptr<const Adaptation> adaptation = nullptr;

  /// The loader of a child module: `loader.sub("attn1")`, `loader.sub("blocks", 3)`.
  Loader sub(std::string_view child) const { return {scope.sub(child), context, adaptation}; }
  Loader sub(std::string_view list, int index) const {
    return {scope.sub(list).sub(index), context, adaptation};
  }

  /// The tensor's name in the whole network.
  std::string full_name(std::string_view name) const;
  /// Whether it is another one than in the network that this one differs from.
  bool is_changed(std::string_view name) const;
  /// What a module keeps. Throws Cancelled, too, when the context's stop is requested, as the next one does.
  Tensor<float> tensor(std::string_view name, const Shape& shape) const;
  /// What the engine packs, or reads where it is stored.
  ops::WeightSource to_be_packed(std::string_view name, const Shape& shape) const {
    context.check_stop();
    return scope.weight(name, shape);
  }
};

}  // namespace daguerre::nn
