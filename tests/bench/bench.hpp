#pragma once

#include <functional>
#include <string>

#include <benchmark/benchmark.h>

#include "daguerre/ops/engine.hpp"

/// Micro-benchmarks of operations, at the shapes of Stable Diffusion 1.5 at 512 x 512 with guidance (a batch
/// of 2), named operation/shape[/engine]/type. The shape "tiny" is there to be run by the tests.
namespace daguerre::bench {

/// "f32", "bf16"
template <class T>
std::string type_name() {
  return sizeof(T) == 4 ? "f32" : "bf16";
}

/// Uniform in [-1, 1), from a fixed seed.
Tensor<float> random_tensor(const Shape& shape);
template <class T>
Tensor<T> random_tensor_as(const Shape& shape) {
  return random_tensor(shape).template to<T>();
}
template <class... Tensors>
double bytes_of(const Tensors&... tensors) {
  return (0.0 + ... + static_cast<double>(tensors.span().size_bytes()));
}

/// What one call moves and multiplies; shown for each second.
struct Work {
  double bytes = 0.0;
  double flops = 0.0;
};
/// A benchmark that is set up when its turn comes: `prepare` returns the call to be timed.
struct Prepared {
  std::function<void()> call;
  Work work;
};
void add(const std::string& name, std::function<Prepared()> prepare);

/// A context for that engine, or for operations that need none.
ops::Context context(int threads, const std::string& engine = "auto");

// Each makes its benchmarks known, to run on so many threads.
void add_products(int threads);
void add_memory_operations(int threads);

}  // namespace daguerre::bench
