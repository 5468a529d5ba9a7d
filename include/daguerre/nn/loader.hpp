#pragma once

#include <memory>

#include "daguerre/ops/engine.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::nn {

/// What a layer is made from: its place in the weights and the engine that packs them.
struct Loader {
  weights::Scope scope;
  std::shared_ptr<const ops::Engine> engine;

  /// The loader of a child module: `loader.sub("attn1")`, `loader.sub("blocks", 3)`.
  Loader sub(std::string_view child) const { return {scope.sub(child), engine}; }
  Loader sub(std::string_view list, int index) const { return {scope.sub(list).sub(index), engine}; }

  Tensor<float> tensor(std::string_view name, const Shape& shape) const { return scope.tensor(name, shape); }
};

}  // namespace daguerre::nn
