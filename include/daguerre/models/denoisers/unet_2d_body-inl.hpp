#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "daguerre/models/denoisers/detail/unet_blocks-inl.hpp"
#include "daguerre/models/denoisers/unet_2d_body.hpp"
#include "daguerre/ops/elementwise-inl.hpp"

namespace daguerre::models {
namespace detail {

/// A convolution that keeps the size.
inline nn::Conv2d<float> centred_conv(const nn::Loader& loader, Index in, Index out, int kernel) {
  return {loader, in, out, kernel, ops::ConvGeometry::same((kernel - 1) / 2)};
}

/// What an adapter adds to the result of that block; nullptr where it adds nothing.
inline const Tensor<float>* down_feature(const UNetFeatures* features, std::size_t block) {
  return features != nullptr && block < features->down_features.size() ? &features->down_features[block]
                                                                       : nullptr;
}

/// Maps of films as those of their frames, which blocks see.
inline Tensor<float> maps_of_frames(const Tensor<float>& map) {
  return map.rank() == 5 ? map.reshape({map.dim(0) * map.dim(1), map.dim(2), map.dim(3), map.dim(4)}) : map;
}

inline void add_unet_residuals(const ops::Context& context, const UNetFeatures& features, UNetPath& path) {
  const auto& residuals = features.down_residuals;
  if (residuals.empty() != features.mid_residual.empty() ||
      (!residuals.empty() && residuals.size() != path.skips.size()))
    throw ArgumentError("unet", std::to_string(residuals.size()) + " residuals" +
                                    (features.mid_residual.empty() ? "" : " and one for the middle") +
                                    ", expected " + std::to_string(path.skips.size()) +
                                    " and one for the middle, or none");
  for (std::size_t i = 0; i < residuals.size(); ++i)
    path.skips[i] = ops::add(context, path.skips[i], maps_of_frames(residuals[i]));
}

}  // namespace detail

template <class T>
UNetContractingPath<T>::UNetContractingPath(const UNet2DShape& shape, const nn::Loader& root)
    : shape_(shape),
      conv_in_(detail::centred_conv(root.sub("conv_in"), shape.in_channels, shape.levels.front().channels,
                                    shape.conv_in_kernel)) {
  if (shape.transformer_in_head_dim > 0)
    transformer_in_.emplace(
        root.sub("transformer_in"),
        nn::TemporalTransformer<float>::Options{.in_channels = shape.levels.front().channels,
                                                .norm_num_groups = shape.resnet.groups,
                                                .num_attention_heads = 8,
                                                .attention_head_dim = shape.transformer_in_head_dim});
  const std::size_t count = shape.levels.size();
  std::size_t attentions = 0;  // of the blocks before
  for (std::size_t i = 0; i < count; ++i) {
    down_blocks_.push_back(
        make_down_block<T>(root.sub("down_blocks", static_cast<int>(i)), {shape, i, attentions}));
    attentions += shape.levels[i].down.cross_attentions(shape.levels[i].down.layers);
  }
  for (const auto& level : shape.levels) attentions += level.up.cross_attentions(level.up.layers);
  if (shape.mid) mid_block_ = make_mid_block<T>(root.sub("mid_block"), {shape, count - 1, attentions});
}

template <class T>
Tensor<float> UNetContractingPath<T>::down(const ops::Context& context, const Tensor<float>& sample,
                                           const UNetBlockInputs<T>& inputs, const UNetFeatures* features,
                                           const Tensor<float>& hint, UNetPath& path) const {
  if (sample.rank() != 4 || sample.dim(3) != shape_.in_channels || sample.empty())
    throw ArgumentError("unet", "sample " + to_string(sample.shape()) + ", expected [N, H, W, " +
                                    std::to_string(shape_.in_channels) + "]");
  // From [0, 1] to [-1, 1].
  const auto input = shape_.center_input_sample ? ops::affine(context, sample, 2.0f, -1.0f) : sample;
  auto x = conv_in_(context, input);
  if (!hint.empty()) x = ops::add(context, x, hint);
  if (transformer_in_) x = (*transformer_in_)(context, x, inputs.frames);
  path = {{x}, {}};
  const bool leads_picture = std::any_of(shape_.levels.begin(), shape_.levels.end(), [](const auto& level) {
    return level.down.kind == UNetBlockShape::Kind::skip;
  });
  if (leads_picture) path.picture = input;
  for (std::size_t i = 0; i < down_blocks_.size(); ++i)
    x = (*down_blocks_[i])(context, std::move(x), inputs, detail::down_feature(features, i), path);
  path.picture = {};
  return x;
}

template <class T>
Tensor<float> UNetContractingPath<T>::middle(const ops::Context& context, Tensor<float> x,
                                             const UNetBlockInputs<T>& inputs,
                                             const UNetFeatures* features) const {
  if (!mid_block_) return x;
  x = (*mid_block_)(context, std::move(x), inputs);
  if (const auto* last = detail::down_feature(features, down_blocks_.size());
      last != nullptr && last->shape() == x.shape())
    x = ops::add(context, x, *last);
  return x;
}

template <class T>
UNet2DBody<T>::UNet2DBody(const UNet2DShape& shape, const nn::Loader& root)
    : way_down_(shape, root),
      conv_out_(detail::centred_conv(root.sub("conv_out"), shape.levels.front().channels, shape.out_channels,
                                     shape.conv_out_kernel)) {
  const std::size_t count = shape.levels.size();
  std::size_t attentions = shape.cross_attentions_down();  // of the blocks before
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t level = count - 1 - i;
    up_blocks_.push_back(
        make_up_block<T>(root.sub("up_blocks", static_cast<int>(i)), {shape, level, attentions}));
    attentions += shape.levels[level].up.cross_attentions(shape.levels[level].up.layers);
  }
  if (shape.out_groups > 0)
    conv_norm_out_.emplace(root.sub("conv_norm_out"), shape.levels.front().channels, shape.out_groups,
                           shape.resnet.epsilon, shape.out_activation);
}

template <class T>
Tensor<float> UNet2DBody<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                        const UNetBlockInputs<T>& inputs,
                                        const UNetFeatures* features) const {
  UNetPath path;
  auto x = way_down_.down(context, sample, inputs, features, {}, path);
  if (features != nullptr) detail::add_unet_residuals(context, *features, path);
  x = way_down_.middle(context, std::move(x), inputs, features);
  if (features != nullptr && !features->mid_residual.empty())
    x = ops::add(context, x, detail::maps_of_frames(features->mid_residual));

  for (const auto& block : up_blocks_) x = (*block)(context, std::move(x), inputs, path);
  if (conv_norm_out_) x = conv_norm_out_->template apply<float>(context, x);
  return conv_out_(context, x, std::move(path.picture));
}

extern template class UNetContractingPath<float>;
extern template class UNetContractingPath<bfloat16>;
extern template class UNet2DBody<float>;
extern template class UNet2DBody<bfloat16>;

}  // namespace daguerre::models
