#pragma once

#include <array>
#include <vector>

#include "daguerre/nn/linear.hpp"
#include "daguerre/ops/engine-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline ops::WeightSource linear_weight(const Loader& loader, Index in, Index out, bool stored_as_conv) {
  if (!stored_as_conv) return loader.to_be_packed("weight", {out, in});
  auto source = loader.to_be_packed("weight", {out, in, 1, 1});
  source.shape = {out, in};
  return source;
}

}  // namespace detail

template <class T>
Linear<T>::Linear(const Loader& loader, Index in, Index out, const Options& options)
    : Linear(side_by_side(std::array{loader}, in, out, options)) {}

template <class T>
Linear<T> Linear<T>::side_by_side(std::span<const Loader> loaders, Index in, Index out,
                                  const Options& options) {
  std::vector<ops::WeightSource> weights;
  std::vector<Tensor<float>> biases;
  for (const auto& loader : loaders) {
    weights.push_back(detail::linear_weight(loader, in, out, options.stored_as_conv));
    if (options.bias) biases.push_back(loader.tensor("bias", {out}));
  }
  const ops::Weight weight(std::move(weights));
  const auto bias = biases.empty() ? Tensor<float>() : concat_leading<float>(biases);
  const auto& context = loaders.front().context;
  return Linear(context.engine->as<T>().pack_linear(context, weight, bias, options.activation),
                weight.rows());
}

extern template class Linear<float>;
extern template class Linear<bfloat16>;

}  // namespace daguerre::nn
