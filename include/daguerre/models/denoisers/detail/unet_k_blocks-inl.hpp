#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "daguerre/models/denoisers/detail/unet_blocks.hpp"
#include "daguerre/nn/ada_group_norm-inl.hpp"
#include "daguerre/nn/added_kv_attention-inl.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/fir.hpp"

/// The blocks of the latent upscaler that k-diffusion's author trained for Stable Diffusion: the time steers
/// every norm, attentions have no feed-forward, sizes change without weights.
namespace daguerre::models {
namespace detail {

inline constexpr Index k_group_size = 32;

/// conv2(act(norm2(conv1(act(norm1(x)))))) + shortcut(x) (diffusers' ResnetBlockCondNorm2D with "ada_group").
template <class T>
class KResnet {
 public:
  /// `middle` channels between the convolutions.
  KResnet(const nn::Loader& loader, const UNetBlockPlace& place, Index in, Index middle, Index out)
      : norm1_(loader.sub("norm1"), place.shape.resnet.temb_channels, in, static_cast<int>(in / k_group_size),
               place.shape.resnet.epsilon, place.shape.resnet.non_linearity),
        conv1_(loader.sub("conv1"), in, middle, 3, ops::ConvGeometry::same(1)),
        norm2_(loader.sub("norm2"), place.shape.resnet.temb_channels, middle,
               static_cast<int>(place.channels() / k_group_size), place.shape.resnet.epsilon,
               place.shape.resnet.non_linearity),
        conv2_(loader.sub("conv2"), middle, out, 3, ops::ConvGeometry::same(1)) {
    if (in != out)
      shortcut_.emplace(loader.sub("conv_shortcut"), in, out,
                        typename nn::Linear<T>::Options{.bias = false, .stored_as_conv = true});
  }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<float>& temb) const {
    context.check_stop();
    auto shortcut = shortcut_ ? shortcut_->accumulate(context, ops::cast<T>(context, x)) : x;
    const auto hidden = conv1_(context, norm1_.template apply<T>(context, x, temb));
    return conv2_(context, norm2_.template apply<T>(context, hidden, temb), std::move(shortcut));
  }

 private:
  nn::AdaGroupNorm norm1_;
  nn::Conv2d<T> conv1_;
  nn::AdaGroupNorm norm2_;
  nn::Conv2d<T> conv2_;
  std::optional<nn::Linear<T>> shortcut_;
};

/// x += attn1(norm1(x)), where it is wanted; x += attn2(norm2(x), norm(prompt)) (KAttentionBlock).
template <class T>
class KAttention {
 public:
  KAttention(const nn::Loader& loader, const UNetBlockPlace& place, const UNetBlockShape& block,
             Index channels, bool self_attention)
      : norm2_(norm(loader.sub("norm2"), place, channels)),
        norm_cross_(loader.sub("attn2").sub("norm_cross"), block.cross_attention_dim,
                    nn::CrossNorm::layer_norm),
        attn2_(loader.sub("attn2"), options(block, channels, block.cross_attention_dim)) {
    if (!self_attention) return;
    norm1_ = norm(loader.sub("norm1"), place, channels);
    attn1_.emplace(loader.sub("attn1"), options(block, channels, 0));
  }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const UNetBlockInputs<T>& inputs) const {
    if (inputs.states == nullptr)
      throw ArgumentError("unet", "this model looks at a prompt, and there is none");
    auto pixels = x.reshape({x.dim(0), -1, x.dim(-1)});
    if (attn1_)
      pixels = (*attn1_)(context, norm1_->template apply<T>(context, pixels, inputs.temb), nullptr, nullptr,
                         &pixels);
    const auto states = norm_cross_(context, *inputs.states);
    return attn2_(context, norm2_.template apply<T>(context, pixels, inputs.temb), &states, inputs.key_bias,
                  &pixels)
        .reshape(x.shape());
  }

 private:
  static nn::AdaGroupNorm norm(const nn::Loader& loader, const UNetBlockPlace& place, Index channels) {
    return {loader, place.shape.resnet.temb_channels, channels,
            static_cast<int>(std::max<Index>(1, channels / k_group_size))};
  }
  static nn::AttentionOptions options(const UNetBlockShape& block, Index channels, Index states) {
    return {.query_dim = channels,
            .cross_attention_dim = states,
            .heads = static_cast<int>(channels / block.head_dim),
            .head_dim = block.head_dim,
            .bias = true};
  }

  std::optional<nn::AdaGroupNorm> norm1_;
  std::optional<nn::Attention<T>> attn1_;
  nn::AdaGroupNorm norm2_;
  nn::TokenNorm<T> norm_cross_;
  nn::Attention<T> attn2_;
};

template <class T>
struct KLayer {
  KResnet<T> resnet;
  std::optional<KAttention<T>> attention;

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const UNetBlockInputs<T>& inputs) const {
    const auto y = resnet(context, x, inputs.temb);
    return attention ? (*attention)(context, y, inputs) : y;
  }
};

template <class T>
class KDownBlock final : public UNetDownBlock<T> {
 public:
  KDownBlock(const nn::Loader& loader, const UNetBlockPlace& place) : resizes_(!place.is_innermost()) {
    const auto& block = place.shape.levels[place.level].down;
    const Index channels = place.channels();
    const bool attends = block.attention != UNetBlockShape::Attention::none;
    // The innermost block's maps stay for themselves.
    leaves_skips_ = resizes_ || !attends;
    for (int i = 0; i < block.layers; ++i) {
      layers_.push_back({KResnet<T>(loader.sub("resnets", i), place,
                                    i == 0 ? place.outer_channels() : channels, channels, channels),
                         std::nullopt});
      if (attends)
        layers_.back().attention.emplace(loader.sub("attentions", i), place, block, channels, !resizes_);
    }
  }

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                           const Tensor<float>* feature, UNetPath& path) const override {
    if (feature != nullptr)
      throw ArgumentError("unet", "blocks with K in their name take no features of an adapter");
    for (const auto& layer : layers_) {
      x = layer(context, x, inputs);
      path.skips.push_back(leaves_skips_ ? x : Tensor<float>());
    }
    return resizes_ ? ops::fir_downsample(context, x, ops::Border::reflected) : x;
  }

 private:
  bool resizes_, leaves_skips_;
  std::vector<KLayer<T>> layers_;
};

template <class T>
class KUpBlock final : public UNetUpBlock<T> {
 public:
  KUpBlock(const nn::Loader& loader, const UNetBlockPlace& place) : resizes_(!place.is_outermost()) {
    const auto& block = place.shape.levels[place.level].up;
    const Index channels = place.channels(), outer = place.outer_channels();
    const bool attends = block.attention != UNetBlockShape::Attention::none;
    // How the reference tells its first block: nothing is joined there, and pixels look at each other.
    const bool first = attends && outer == channels && channels == place.shape.resnet.temb_channels;
    const int count = block.layers - 1;
    for (int i = 0; i < count; ++i) {
      const bool last = i + 1 == count;
      const Index in = i > 0 || first ? channels : 2 * channels;
      const Index out = last ? outer : channels;
      layers_.push_back(
          {KResnet<T>(loader.sub("resnets", i), place, in, attends ? channels : out, out), std::nullopt});
      if (attends) layers_.back().attention.emplace(loader.sub("attentions", i), place, block, out, first);
    }
  }

  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                           UNetPath& path) const override {
    const auto skip = path.skips.back();
    for (std::size_t i = 0; i < layers_.size(); ++i) path.skips.pop_back();
    if (!skip.empty()) x = ops::concat_channels(context, x, skip);
    for (const auto& layer : layers_) x = layer(context, x, inputs);
    return resizes_ ? ops::fir_upsample(context, x, ops::Border::reflected) : x;
  }

 private:
  bool resizes_;
  std::vector<KLayer<T>> layers_;
};

}  // namespace detail

template <class T>
std::shared_ptr<const UNetDownBlock<T>> make_k_down_block(const nn::Loader& loader,
                                                          const UNetBlockPlace& place) {
  return std::make_shared<const detail::KDownBlock<T>>(loader, place);
}

template <class T>
std::shared_ptr<const UNetUpBlock<T>> make_k_up_block(const nn::Loader& loader, const UNetBlockPlace& place) {
  return std::make_shared<const detail::KUpBlock<T>>(loader, place);
}

namespace detail {

extern template class KDownBlock<float>;
extern template class KDownBlock<bfloat16>;
extern template class KUpBlock<float>;
extern template class KUpBlock<bfloat16>;

}  // namespace detail
}  // namespace daguerre::models
