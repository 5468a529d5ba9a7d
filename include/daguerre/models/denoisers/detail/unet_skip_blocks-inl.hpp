#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "daguerre/models/denoisers/detail/unet_attention-inl.hpp"
#include "daguerre/models/denoisers/detail/unet_blocks.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/resnet-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/fir.hpp"

/// The blocks of NCSN++ (Song et al. 2021, app. H): on the way down the picture itself, ever smaller, is
/// added to the feature maps; on the way up one is summed from what each block shows.
namespace daguerre::models {
namespace detail {

inline constexpr Index skip_picture_channels = 3;  // fixed in the reference

inline int skip_groups(Index channels) {
  return static_cast<int>(std::min<Index>(channels / 4, 32));
}

inline nn::ResnetOptions skip_layer_options(const UNetBlockPlace& place, const UNetBlockShape& block,
                                            Index in, Index groups_of) {
  auto options = place.resnet(block, in, place.channels());
  options.groups = static_cast<int>(std::min<Index>(groups_of, 32));
  options.groups_out = skip_groups(place.channels());
  return options;
}

/// The residual layer that changes the size.
template <class T>
nn::ResnetBlock2D<T> skip_resizing(const nn::Loader& loader, const UNetBlockPlace& place,
                                   const UNetBlockShape& block, nn::ResnetOptions::Resize resize) {
  auto options = skip_layer_options(place, block, place.channels(), place.channels() / 4);
  options.resize = resize;
  options.conv_shortcut = true;
  return nn::ResnetBlock2D<T>(loader, options);
}

template <class T>
class SkipDownBlock final : public UNetDownBlock<T> {
 public:
  SkipDownBlock(const nn::Loader& loader, const UNetBlockPlace& place) {
    const auto& block = place.shape.levels[place.level].down;
    for (int i = 0; i < block.layers; ++i) {
      const Index in = i == 0 ? place.outer_channels() : place.channels();
      layers_.push_back(
          {nn::ResnetBlock2D<T>(loader.sub("resnets", i), skip_layer_options(place, block, in, in / 4)),
           UNetAttention<T>(loader.sub("attentions", i), place, block, i)});
    }
    if (place.is_innermost()) return;
    downsampler_ =
        skip_resizing<T>(loader.sub("resnet_down"), place, block, nn::ResnetOptions::Resize::fir_down);
    skip_conv_.emplace(loader.sub("skip_conv"), skip_picture_channels, place.channels(), 1,
                       ops::ConvGeometry::same(0));
  }

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                           const Tensor<float>* feature, UNetPath& path) const override {
    if (feature != nullptr)
      throw ArgumentError("unet", "blocks with Skip in their name take no features of an adapter");
    for (const auto& [resnet, attention] : layers_) {
      x = attention(context, resnet(context, std::move(x), &inputs.temb), inputs);
      path.skips.push_back(x);
    }
    if (!downsampler_) return x;
    x = (*downsampler_)(context, std::move(x), &inputs.temb);
    path.picture = ops::fir_downsample(context, path.picture, ops::Border::zeros);
    path.skips.push_back(x = (*skip_conv_)(context, path.picture, std::move(x)));
    return x;
  }

 private:
  struct Layer {
    nn::ResnetBlock2D<T> resnet;
    UNetAttention<T> attention;
  };
  std::vector<Layer> layers_;
  std::optional<nn::ResnetBlock2D<T>> downsampler_;
  std::optional<nn::Conv2d<float>> skip_conv_;
};

template <class T>
class SkipUpBlock final : public UNetUpBlock<T> {
 public:
  SkipUpBlock(const nn::Loader& loader, const UNetBlockPlace& place)
      : attention_(loader.sub("attentions", 0), place, place.shape.levels[place.level].up, 0) {
    const auto& block = place.shape.levels[place.level].up;
    for (int i = 0; i < block.layers; ++i) {
      const Index below = i == 0 ? place.inner_channels() : place.channels();
      const Index skip = i + 1 == block.layers ? place.outer_channels() : place.channels();
      // The blocks with attention forget the brackets there.
      const Index groups_of = attention_.is_none() ? (below + skip) / 4 : below + skip / 4;
      layers_.emplace_back(loader.sub("resnets", i),
                           skip_layer_options(place, block, below + skip, groups_of));
    }
    if (place.is_outermost()) return;
    upsampler_ = skip_resizing<T>(loader.sub("resnet_up"), place, block, nn::ResnetOptions::Resize::fir_up);
    skip_norm_.emplace(loader.sub("skip_norm"), place.channels(), skip_groups(place.channels()),
                       place.shape.resnet.epsilon, ops::Activation::silu);
    skip_conv_.emplace(loader.sub("skip_conv"), place.channels(), skip_picture_channels, 3,
                       ops::ConvGeometry::same(1));
  }

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                           UNetPath& path) const override {
    for (const auto& layer : layers_) {
      const auto skip = std::move(path.skips.back());
      path.skips.pop_back();
      x = layer(context, ops::concat_channels(context, x, skip), &inputs.temb);
    }
    x = attention_(context, std::move(x), inputs);
    if (!path.picture.empty()) path.picture = ops::fir_upsample(context, path.picture, ops::Border::zeros);
    if (!upsampler_) return x;
    path.picture = (*skip_conv_)(context, skip_norm_->template apply<float>(context, x),
                                 std::exchange(path.picture, {}));
    return (*upsampler_)(context, std::move(x), &inputs.temb);
  }

 private:
  UNetAttention<T> attention_;
  std::vector<nn::ResnetBlock2D<T>> layers_;
  std::optional<nn::ResnetBlock2D<T>> upsampler_;
  std::optional<nn::GroupNorm> skip_norm_;
  std::optional<nn::Conv2d<float>> skip_conv_;
};

}  // namespace detail

template <class T>
std::shared_ptr<const UNetDownBlock<T>> make_skip_down_block(const nn::Loader& loader,
                                                             const UNetBlockPlace& place) {
  return std::make_shared<const detail::SkipDownBlock<T>>(loader, place);
}

template <class T>
std::shared_ptr<const UNetUpBlock<T>> make_skip_up_block(const nn::Loader& loader,
                                                         const UNetBlockPlace& place) {
  return std::make_shared<const detail::SkipUpBlock<T>>(loader, place);
}

namespace detail {

extern template class SkipDownBlock<float>;
extern template class SkipDownBlock<bfloat16>;
extern template class SkipUpBlock<float>;
extern template class SkipUpBlock<bfloat16>;

}  // namespace detail
}  // namespace daguerre::models
