#include "daguerre/nn/linear.hpp"

#include <array>
#include <vector>

namespace daguerre::nn {
namespace {

Tensor<float> weight_of(const Loader& loader, Index in, Index out, bool stored_as_conv) {
  if (stored_as_conv) return loader.to_be_packed("weight", {out, in, 1, 1}).reshape({out, in});
  return loader.to_be_packed("weight", {out, in});
}

}  // namespace

template <class T>
Linear<T>::Linear(const Loader& loader, Index in, Index out, const Options& options)
    : Linear(side_by_side(std::array{loader}, in, out, options)) {}

template <class T>
Linear<T> Linear<T>::side_by_side(std::span<const Loader> loaders, Index in, Index out,
                                  const Options& options) {
  std::vector<Tensor<float>> weights, biases;
  for (const auto& loader : loaders) {
    weights.push_back(weight_of(loader, in, out, options.stored_as_conv));
    if (options.bias) biases.push_back(loader.tensor("bias", {out}));
  }
  const auto join = [&](const std::vector<Tensor<float>>& parts) {
    if (parts.empty()) return Tensor<float>();
    return parts.size() == 1 ? parts.front() : concat_leading<float>(parts, &loaders.front().context.pool);
  };
  const auto weight = join(weights);
  const auto& context = loaders.front().context;
  return Linear(context.engine->as<T>().pack_linear(context, weight, join(biases), options.activation),
                weight.dim(0));
}

template class Linear<float>;
template class Linear<bfloat16>;

}  // namespace daguerre::nn
