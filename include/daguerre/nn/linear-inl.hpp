#pragma once

#include <array>
#include <vector>

#include "daguerre/nn/adaptation-inl.hpp"
#include "daguerre/nn/linear.hpp"

namespace daguerre::nn {
namespace detail {

/// The weight's shape in the file, where the kernel of a convolution of one pixel may have a frame, too.
/// Throws ConfigError where the window does not divide the input.
template <class T>
Shape linear_shape(const Loader& loader, Index in, Index out, const typename Linear<T>::Options& options) {
  if (options.stored_as_conv) {
    const bool has_frame = loader.scope.contains("weight") && loader.scope.shape("weight").rank() == 5;
    return has_frame ? Shape{out, in, 1, 1, 1} : Shape{out, in, 1, 1};
  }
  const auto& window = options.window;
  if (window.size() == 0 || in % window.size() != 0)
    throw ConfigError("linear", loader.scope.prefix() + ": a window " + to_string(window) +
                                    " does not divide " + std::to_string(in) + " numbers");
  std::vector<Index> extents{out, in / window.size()};
  extents.insert(extents.end(), window.begin(), window.end());
  return Shape(extents);
}

}  // namespace detail

template <class T>
Linear<T>::Linear(const Loader& loader, Index in, Index out, const Options& options)
    : Linear(side_by_side(std::array{loader}, in, out, options)) {}

template <class T>
Linear<T> Linear<T>::side_by_side(std::span<const Loader> loaders, Index in, Index out,
                                  const Options& options) {
  return side_by_side(loaders, in, std::vector<Index>(loaders.size(), out), options);
}

template <class T>
Linear<T> Linear<T>::side_by_side(std::span<const Loader> loaders, Index in, std::span<const Index> outs,
                                  const Options& options) {
  const auto& context = loaders.front().context;
  std::vector<Shape> stored;
  Index columns = 0;
  for (std::size_t i = 0; i < loaders.size(); ++i) {
    stored.push_back(detail::linear_shape<T>(loaders[i], in, outs[i], options));
    columns += outs[i];
  }
  const auto pack = [&]() -> std::shared_ptr<const ops::PackedLinear<T>> {
    std::vector<ops::WeightSource> weights;
    std::vector<Tensor<float>> biases;
    for (std::size_t i = 0; i < loaders.size(); ++i) {
      weights.push_back(loaders[i].to_be_packed("weight", stored[i]));
      weights.back().shape = {outs[i], in};
      if (options.bias) biases.push_back(loaders[i].tensor("bias", {outs[i]}));
    }
    const auto bias = biases.empty() ? Tensor<float>() : concat_leading<float>(biases);
    return context.engine->as<T>().pack_linear(context, ops::Weight(std::move(weights)), bias,
                                               options.activation);
  };
  const auto extend = [&](const auto& base, const detail::LowRankChange& change) {
    return ops::with_low_rank(context, base, change.stack, change.bias);
  };
  const detail::LayerTensors tensors{loaders, stored, options.bias};
  return Linear(detail::adapted_layer<ops::PackedLinear<T>>(
                    tensors, "linear " + std::to_string(static_cast<int>(options.activation)),
                    options.activation != ops::Activation::none, pack, extend),
                columns);
}

extern template class Linear<float>;
extern template class Linear<bfloat16>;

}  // namespace daguerre::nn
