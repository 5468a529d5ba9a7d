#pragma once

#include <array>
#include <vector>

#include "daguerre/nn/adaptation-inl.hpp"
#include "daguerre/nn/linear.hpp"

namespace daguerre::nn {
namespace detail {

/// The shape that the file holds the weight in: a convolution's kernel may have a frame, too.
inline Shape linear_shape(const Loader& loader, Index in, Index out, bool stored_as_conv) {
  if (!stored_as_conv) return {out, in};
  const bool has_frame = loader.scope.contains("weight") && loader.scope.shape("weight").rank() == 5;
  return has_frame ? Shape{out, in, 1, 1, 1} : Shape{out, in, 1, 1};
}

inline ops::WeightSource linear_weight(const Loader& loader, Index in, Index out, bool stored_as_conv) {
  auto source = loader.to_be_packed("weight", linear_shape(loader, in, out, stored_as_conv));
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
  const auto& context = loaders.front().context;
  const auto rows = checked_multiply(static_cast<Index>(loaders.size()), out);
  const auto pack = [&]() -> std::shared_ptr<const ops::PackedLinear<T>> {
    std::vector<ops::WeightSource> weights;
    std::vector<Tensor<float>> biases;
    for (const auto& loader : loaders) {
      weights.push_back(detail::linear_weight(loader, in, out, options.stored_as_conv));
      if (options.bias) biases.push_back(loader.tensor("bias", {out}));
    }
    const auto bias = biases.empty() ? Tensor<float>() : concat_leading<float>(biases);
    return context.engine->as<T>().pack_linear(context, ops::Weight(std::move(weights)), bias,
                                               options.activation);
  };
  const auto extend = [&](const auto& base, const detail::LowRankChange& change) {
    return ops::with_low_rank(context, base, change.stack, change.bias);
  };
  const detail::LayerTensors tensors{
      loaders, detail::linear_shape(loaders.front(), in, out, options.stored_as_conv), options.bias};
  return Linear(detail::adapted_layer<ops::PackedLinear<T>>(
                    tensors, "linear " + std::to_string(static_cast<int>(options.activation)),
                    options.activation != ops::Activation::none, pack, extend),
                rows);
}

extern template class Linear<float>;
extern template class Linear<bfloat16>;

}  // namespace daguerre::nn
