#pragma once

#include <random>

#include "daguerre/ops/engine.hpp"

namespace daguerre::test {

/// Normally distributed values; the same for the same seed.
inline Tensor<float> random_tensor(const Shape& shape, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  Tensor<float> result(shape);
  for (float& value : result.span()) value = normal(generator);
  return result;
}

/// A context for the engine of that name.
inline ops::Context context_for(const std::string& engine, int threads = 2) {
  ops::Context context;
  context.engine = ops::make_engine(engine);
  context.threads = threads;
  return context;
}

}  // namespace daguerre::test
