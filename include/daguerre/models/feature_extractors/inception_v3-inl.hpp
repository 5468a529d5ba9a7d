#pragma once

#include <array>
#include <string>
#include <utility>

#include "daguerre/models/feature_extractors/inception_v3.hpp"
#include "daguerre/nn/basic_conv-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/pool-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float inception_epsilon = 1e-3f;
/// The stem's convolutions, and the blocks behind it.
std::vector<InceptionConv> inception_stem();
std::vector<InceptionBlockShape> inception_blocks();
/// The block behind which InceptionFeatures::before_aux is taken.
inline constexpr const char* inception_before_aux = "Mixed_6e";

template <class T>
nn::BasicConv2d<T> inception_conv(const nn::Loader& loader, Index in, const InceptionConv& conv) {
  return {loader.sub(conv.name), Shape{conv.out, in, conv.height, conv.width}, conv.geometry(),
          inception_epsilon};
}

template <class T>
InceptionBlock<T>::InceptionBlock(const nn::Loader& loader, Index in, const InceptionBlockShape& shape) {
  const auto block = loader.sub(shape.name);
  for (const auto& branch : shape.branches) {
    Branch made{branch.pool, {}, {}};
    Index channels = in;
    for (const auto& conv : branch.chain) {
      made.chain.push_back(inception_conv<T>(block, channels, conv));
      channels = conv.out;
    }
    for (const auto& conv : branch.fork) {
      made.fork.push_back(inception_conv<T>(block, channels, conv));
      out_ += conv.out;
    }
    if (branch.fork.empty()) out_ += channels;
    branches_.push_back(std::move(made));
  }
}

template <class T>
Tensor<T> InceptionBlock<T>::operator()(const ops::Context& context, const Tensor<T>& x) const {
  using Pool = InceptionBranch::Pool;
  std::vector<Tensor<T>> parts;
  for (const auto& branch : branches_) {
    auto y = x;
    if (branch.pool == Pool::average) y = ops::average_pool(context, y, {.size = 3, .stride = 1, .pad = 1});
    if (branch.pool == Pool::max) y = ops::max_pool(context, y, {.size = 3, .stride = 1, .pad = 1});
    if (branch.pool == Pool::halving_max) y = ops::max_pool(context, y, {.size = 3, .stride = 2});
    for (const auto& conv : branch.chain) y = conv(context, y);
    for (const auto& conv : branch.fork) parts.push_back(conv(context, y));
    if (branch.fork.empty()) parts.push_back(std::move(y));
  }
  return ops::concat<T>(context, parts, -1);
}

}  // namespace detail

template <class T>
InceptionV3<T>::InceptionV3(const nn::Loader& loader)
    : classes_(loader.sub("fc"), features, classes, {.bias = false}),
      bias_(loader.sub("fc").tensor("bias", {classes})) {
  Index channels = 3;
  for (const auto& conv : detail::inception_stem()) {
    stem_.push_back({detail::inception_conv<T>(loader, channels, conv), conv.pooled});
    channels = conv.out;
  }
  for (const auto& shape : detail::inception_blocks()) {
    if (shape.name == detail::inception_before_aux) before_aux_ = blocks_.size();
    blocks_.emplace_back(loader, channels, shape);
    channels = blocks_.back().out();
  }
}

template <class T>
InceptionFeatures InceptionV3<T>::operator()(const ops::Context& context, const Tensor<float>& pictures,
                                             const InceptionOutputs& outputs) const {
  if (pictures.rank() != 4 || pictures.dim(3) != 3 || pictures.empty() || pictures.dim(1) < smallest_side ||
      pictures.dim(2) < smallest_side)
    throw ArgumentError("inception_v3", "pictures " + to_string(pictures.shape()) +
                                            ", expected [N, H, W, 3] of " + std::to_string(smallest_side) +
                                            " pixels a side at least");
  const Index count = pictures.dim(0);
  const auto mean = [&](const Tensor<T>& x) {
    return ops::global_average_pool(context, ops::cast<float>(context, x)).reshape({count, x.dim(3)});
  };
  InceptionFeatures result;
  auto x = ops::cast<T>(context, pictures);
  for (const auto& [conv, pooled] : stem_) {
    context.check_stop();
    x = conv(context, x);
    if (!pooled) continue;
    x = ops::max_pool(context, x, {.size = 3, .stride = 2});
    if (outputs.middle) (result.first_pool.empty() ? result.first_pool : result.second_pool) = mean(x);
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    context.check_stop();
    x = blocks_[i](context, x);
    if (outputs.middle && i == before_aux_) result.before_aux = mean(x);
  }
  result.pool = mean(x);
  if (!outputs.logits) return result;
  // Row by row: an engine may cut several rows as it likes.
  std::vector<Tensor<float>> unbiased, biased;
  for (Index n = 0; n < count; ++n) {
    unbiased.push_back(classes_.accumulate(context, ops::cast<T>(context, result.pool.slice(n, n + 1))));
    biased.push_back(ops::add(context, unbiased.back(), bias_.reshape({1, classes})));
  }
  result.logits_unbiased = ops::concat<float>(context, unbiased, 0);
  result.logits = ops::concat<float>(context, biased, 0);
  return result;
}

extern template class InceptionV3<float>;
extern template class InceptionV3<bfloat16>;

}  // namespace daguerre::models
