#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "daguerre/models/denoisers/detail/unet_attention-inl.hpp"
#include "daguerre/models/denoisers/detail/unet_blocks.hpp"
#include "daguerre/models/denoisers/detail/unet_k_blocks-inl.hpp"
#include "daguerre/models/denoisers/detail/unet_skip_blocks-inl.hpp"
#include "daguerre/models/denoisers/detail/unet_temporal-inl.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/resnet-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/spectrum.hpp"

namespace daguerre::models {
namespace detail {

/// Where the weights of a residual layer between pixels are.
inline nn::Loader unet_resnet_loader(const nn::Loader& block, int index, const UNetBlockShape& shape) {
  const auto layer = block.sub("resnets", index);
  return shape.temporal == UNetBlockShape::Temporal::mixed ? layer.sub("spatial_res_block") : layer;
}

template <class T>
struct UNetLayer {
  UNetLayer(const nn::Loader& block, int index, const UNetBlockPlace& place, const UNetBlockShape& shape,
            Index in)
      : resnet(unet_resnet_loader(block, index, shape), place.resnet(shape, in, place.channels())),
        temporal(block, index, place, shape),
        attention(block.sub("attentions", index), place, shape, index),
        temporal_attention(block, index, place, shape) {}

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           const UNetBlockInputs<T>& inputs) const {
    return behind_resnet(context, resnet(context, std::move(x), &inputs.temb), inputs);
  }
  /// What follows the residual layer.
  Tensor<float> behind_resnet(const ops::Context& context, Tensor<float> x,
                              const UNetBlockInputs<T>& inputs) const {
    x = attention(context, temporal(context, std::move(x), inputs), inputs);
    return temporal_attention(context, std::move(x), inputs);
  }

  nn::ResnetBlock2D<T> resnet;
  UNetTemporalLayer<T> temporal;
  UNetAttention<T> attention;
  UNetTemporalAttention<T> temporal_attention;
};

/// A residual layer behind which nothing looks at anything.
inline UNetBlockShape without_attention(UNetBlockShape shape) {
  shape.attention = UNetBlockShape::Attention::none;
  if (shape.temporal == UNetBlockShape::Temporal::modules) shape.temporal = UNetBlockShape::Temporal::none;
  return shape;
}

/// The layer that changes the size, for blocks that have one of residual kind.
template <class T>
nn::ResnetBlock2D<T> unet_resizing(const nn::Loader& loader, const UNetBlockPlace& place,
                                   const UNetBlockShape& block, nn::ResnetOptions::Resize resize) {
  auto options = place.resnet(block, place.channels(), place.channels());
  options.resize = resize;
  return nn::ResnetBlock2D<T>(loader, options);
}

template <class T>
class ResidualDownBlock final : public UNetDownBlock<T> {
 public:
  ResidualDownBlock(const nn::Loader& loader, const UNetBlockPlace& place)
      : attention_(place.shape.levels[place.level].down.attention) {
    const auto& block = place.shape.levels[place.level].down;
    for (int i = 0; i < block.layers; ++i)
      layers_.emplace_back(loader, i, place, block, i == 0 ? place.outer_channels() : place.channels());
    if (place.is_innermost()) return;
    const auto resize = loader.sub("downsamplers", 0);
    if (block.resnet_resize)
      resnet_downsampler_ = unet_resizing<T>(resize, place, block, nn::ResnetOptions::Resize::down);
    else
      downsampler_.emplace(resize, place.channels(), place.channels(), place.shape.downsample_padding);
  }

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                           const Tensor<float>* feature, UNetPath& path) const override {
    using Attention = UNetBlockShape::Attention;
    const bool inside = attention_ == Attention::transformer;
    if (feature != nullptr && attention_ == Attention::added_kv)
      throw ArgumentError("unet", "blocks with SimpleCrossAttn in their name take no features of an adapter");
    for (const auto& layer : layers_) {
      x = layer(context, std::move(x), inputs);
      if (feature != nullptr && inside && &layer == &layers_.back()) x = ops::add(context, x, *feature);
      path.skips.push_back(x);
    }
    if (downsampler_) path.skips.push_back(x = (*downsampler_)(context, x));
    if (resnet_downsampler_)
      path.skips.push_back(x = (*resnet_downsampler_)(context, std::move(x), &inputs.temb));
    if (feature != nullptr && !inside) path.skips.back() = x = ops::add(context, x, *feature);
    return x;
  }

 private:
  UNetBlockShape::Attention attention_;
  std::vector<UNetLayer<T>> layers_;
  std::optional<nn::Downsample2D<T>> downsampler_;
  std::optional<nn::ResnetBlock2D<T>> resnet_downsampler_;
};

/// What FreeU makes of a block's map and of the skip connection that joins it.
inline void apply_free_u(const ops::Context& context, const FreeU& free_u, bool first, Tensor<float>& x,
                         Tensor<float>& skip) {
  const Index channels = x.dim(-1), half = channels / 2;
  if (half > 0)
    x = ops::concat_channels(context,
                             ops::affine(context, ops::narrow(context, x, -1, Index{0}, half),
                                         first ? free_u.b1 : free_u.b2, 0.0f),
                             ops::narrow(context, x, -1, half, channels - half));
  skip = ops::scale_low_frequencies(context, skip, first ? free_u.s1 : free_u.s2);
}

template <class T>
class ResidualUpBlock final : public UNetUpBlock<T> {
 public:
  ResidualUpBlock(const nn::Loader& loader, const UNetBlockPlace& place)
      : takes_free_u_(place.shape.takes_free_u(place.level)), is_first_(place.is_innermost()) {
    const auto& block = place.shape.levels[place.level].up;
    for (int i = 0; i < block.layers; ++i) {
      const Index below = i == 0 ? place.inner_channels() : place.channels();
      const Index skip = i + 1 == block.layers ? place.outer_channels() : place.channels();
      layers_.emplace_back(loader, i, place, block, below + skip);
    }
    if (place.is_outermost()) return;
    const auto resize = loader.sub("upsamplers", 0);
    if (block.resnet_resize)
      resnet_upsampler_ = unet_resizing<T>(resize, place, block, nn::ResnetOptions::Resize::up);
    else
      upsampler_.emplace(resize, place.channels(), place.channels());
  }

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                           UNetPath& path) const override {
    for (const auto& layer : layers_) {
      auto skip = std::move(path.skips.back());
      path.skips.pop_back();
      if (inputs.free_u != nullptr && takes_free_u_)
        apply_free_u(context, *inputs.free_u, is_first_, x, skip);
      if (layer.resnet.takes_rounded())
        x = layer.behind_resnet(
            context,
            layer.resnet.of_rounded(context, ops::concat_channels<T>(context, x, skip), &inputs.temb),
            inputs);
      else
        x = layer(context, ops::concat_channels(context, x, skip), inputs);
    }
    // To the size of the next skip connection: double, or one less where the way down rounded up.
    if (upsampler_) x = (*upsampler_)(context, x, path.skips.back().dim(1), path.skips.back().dim(2));
    if (resnet_upsampler_) x = (*resnet_upsampler_)(context, std::move(x), &inputs.temb);
    return x;
  }

 private:
  bool takes_free_u_, is_first_;
  std::vector<UNetLayer<T>> layers_;
  std::optional<nn::Upsample2D<T>> upsampler_;
  std::optional<nn::ResnetBlock2D<T>> resnet_upsampler_;
};

template <class T>
class ResidualMidBlock final : public UNetMidBlock<T> {
 public:
  ResidualMidBlock(const nn::Loader& loader, const UNetBlockPlace& place)
      : last_(loader, place.shape.mid->layers, place, without_attention(*place.shape.mid), place.channels()) {
    for (int i = 0; i < place.shape.mid->layers; ++i)
      layers_.emplace_back(loader, i, place, *place.shape.mid, place.channels());
  }
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           const UNetBlockInputs<T>& inputs) const override {
    for (const auto& layer : layers_) x = layer(context, std::move(x), inputs);
    return last_(context, std::move(x), inputs);
  }

 private:
  std::vector<UNetLayer<T>> layers_;
  UNetLayer<T> last_;
};

}  // namespace detail

template <class T>
std::shared_ptr<const UNetDownBlock<T>> make_down_block(const nn::Loader& loader,
                                                        const UNetBlockPlace& place) {
  switch (place.shape.levels[place.level].down.kind) {
    case UNetBlockShape::Kind::skip:
      return make_skip_down_block<T>(loader, place);
    case UNetBlockShape::Kind::k:
      return make_k_down_block<T>(loader, place);
    case UNetBlockShape::Kind::residual:
      break;
  }
  return std::make_shared<const detail::ResidualDownBlock<T>>(loader, place);
}

template <class T>
std::shared_ptr<const UNetUpBlock<T>> make_up_block(const nn::Loader& loader, const UNetBlockPlace& place) {
  switch (place.shape.levels[place.level].up.kind) {
    case UNetBlockShape::Kind::skip:
      return make_skip_up_block<T>(loader, place);
    case UNetBlockShape::Kind::k:
      return make_k_up_block<T>(loader, place);
    case UNetBlockShape::Kind::residual:
      break;
  }
  return std::make_shared<const detail::ResidualUpBlock<T>>(loader, place);
}

template <class T>
std::shared_ptr<const UNetMidBlock<T>> make_mid_block(const nn::Loader& loader, const UNetBlockPlace& place) {
  return std::make_shared<const detail::ResidualMidBlock<T>>(loader, place);
}

namespace detail {

extern template class ResidualDownBlock<float>;
extern template class ResidualDownBlock<bfloat16>;
extern template class ResidualUpBlock<float>;
extern template class ResidualUpBlock<bfloat16>;
extern template class ResidualMidBlock<float>;
extern template class ResidualMidBlock<bfloat16>;

}  // namespace detail
}  // namespace daguerre::models
