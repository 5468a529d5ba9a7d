#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "daguerre/nn/resnet.hpp"
#include "daguerre/nn/timestep.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::models {

/// The shape of a U-Net, whatever its attention looks at. Levels run from the outermost (largest feature
/// maps) inwards.
struct UNet2DShape {
  Index in_channels = 0;
  Index out_channels = 0;
  struct Level {
    Index channels = 0;
    int layers = 2;  ///< residual blocks on the way down; one more on the way up
  };
  std::vector<Level> levels;
  nn::ResnetOptions resnet;  ///< the channels are filled in
  float mid_block_scale_factor = 1.0f;
  int downsample_padding = 1;
  ops::Activation time_activation = ops::Activation::silu;
  ops::Activation out_activation = ops::Activation::silu;
  ops::TimestepEmbeddingOptions timestep;
};

/// What the U-Nets of diffusers have in common (Ronneberger et al. 2015; Ho et al. 2020): residual blocks,
/// each with an `Attention` behind it or none, down to the middle and up again over the skip connections.
template <class T, class Attention>
class UNet2DBody {
 public:
  enum class Place { down, mid, up };
  /// Makes the attention of one layer at `level` from its loader, or none.
  using AttentionMaker =
      std::function<std::optional<Attention>(const nn::Loader& loader, std::size_t level, Place place)>;

  UNet2DBody(const UNet2DShape& shape, const nn::Loader& root, const AttentionMaker& make_attention);

  /// `[batch, temb_channels]` from one timestep for all or one for each. Throws ArgumentError.
  Tensor<float> time_embedding(const ops::Context& context, std::span<const float> timesteps,
                               Index batch) const;

  /// `sample[N, H, W, in_channels]` to `[N, H, W, out_channels]`; `attend(attention, x)` applies a layer's
  /// attention to the feature map x. Throws ArgumentError.
  template <class Attend>
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           const Tensor<float>& temb, const Attend& attend) const;

 private:
  struct Layer {
    nn::ResnetBlock2D<T> resnet;
    std::optional<Attention> attention;
  };
  struct DownBlock {
    std::vector<Layer> layers;
    std::optional<nn::Downsample2D<T>> downsampler;
  };
  struct UpBlock {
    std::vector<Layer> layers;
    std::optional<nn::Upsample2D<T>> upsampler;
  };

  UNet2DShape shape_;
  nn::Conv2d<float> conv_in_;
  nn::TimestepEmbedding<float> time_embedding_;  // tiny, and shared by all blocks: float32
  std::vector<DownBlock> down_blocks_;
  std::vector<Layer> mid_block_;  // the second has no attention
  std::vector<UpBlock> up_blocks_;
  nn::GroupNorm conv_norm_out_;
  nn::Conv2d<float> conv_out_;
};

template <class T, class Attention>
UNet2DBody<T, Attention>::UNet2DBody(const UNet2DShape& shape, const nn::Loader& root,
                                     const AttentionMaker& make_attention)
    : shape_(shape),
      conv_in_(root.sub("conv_in"), shape.in_channels, shape.levels.front().channels, 3,
               ops::ConvGeometry::same(1)),
      time_embedding_(root.sub("time_embedding"), shape.levels.front().channels, shape.resnet.temb_channels,
                      shape.time_activation),
      conv_norm_out_(root.sub("conv_norm_out"), shape.levels.front().channels, shape.resnet.groups,
                     shape.resnet.epsilon, shape.out_activation),
      conv_out_(root.sub("conv_out"), shape.levels.front().channels, shape.out_channels, 3,
                ops::ConvGeometry::same(1)) {
  const auto resnet = [&](const nn::Loader& loader, Index in, Index out, float scale) {
    auto options = shape.resnet;
    options.in_channels = in;
    options.out_channels = out;
    options.output_scale_factor = scale;
    return nn::ResnetBlock2D<T>(loader, options);
  };
  const float scale = shape.resnet.output_scale_factor;
  const std::size_t count = shape.levels.size();
  Index channels = shape.levels.front().channels;
  std::vector<Index> skips{channels};  // channels of the feature maps that the way up will join
  for (std::size_t i = 0; i < count; ++i) {
    const auto& level = shape.levels[i];
    const auto loader = root.sub("down_blocks", static_cast<int>(i));
    DownBlock block;
    for (int j = 0; j < level.layers; ++j) {
      block.layers.push_back({resnet(loader.sub("resnets", j), channels, level.channels, scale),
                              make_attention(loader.sub("attentions", j), i, Place::down)});
      channels = level.channels;
      skips.push_back(channels);
    }
    if (i + 1 < count) {
      block.downsampler.emplace(loader.sub("downsamplers", 0), channels, channels, shape.downsample_padding);
      skips.push_back(channels);
    }
    down_blocks_.push_back(std::move(block));
  }

  const auto mid = root.sub("mid_block");
  mid_block_.push_back({resnet(mid.sub("resnets", 0), channels, channels, shape.mid_block_scale_factor),
                        make_attention(mid.sub("attentions", 0), count - 1, Place::mid)});
  mid_block_.push_back(
      {resnet(mid.sub("resnets", 1), channels, channels, shape.mid_block_scale_factor), std::nullopt});

  for (std::size_t i = 0; i < count; ++i) {
    const auto& level = shape.levels[count - 1 - i];
    const auto loader = root.sub("up_blocks", static_cast<int>(i));
    UpBlock block;
    for (int j = 0; j <= level.layers; ++j) {
      const Index joined = channels + skips.back();
      skips.pop_back();
      block.layers.push_back({resnet(loader.sub("resnets", j), joined, level.channels, scale),
                              make_attention(loader.sub("attentions", j), count - 1 - i, Place::up)});
      channels = level.channels;
    }
    if (i + 1 < count) block.upsampler.emplace(loader.sub("upsamplers", 0), channels, channels);
    up_blocks_.push_back(std::move(block));
  }
}

template <class T, class Attention>
Tensor<float> UNet2DBody<T, Attention>::time_embedding(const ops::Context& context,
                                                       std::span<const float> timesteps, Index batch) const {
  const ops::Profile::Scope scope(context, ops::OpKind::embedding);
  const auto count = static_cast<Index>(timesteps.size());
  if (count != 1 && count != batch)
    throw ArgumentError("unet", std::to_string(count) + " timesteps for a batch of " + std::to_string(batch));
  const auto sinusoid = ops::timestep_embedding(timesteps, shape_.levels.front().channels, shape_.timestep);
  const auto embedded = time_embedding_(context, sinusoid);
  if (count == batch) return embedded;
  return concat_leading<float>(std::vector<Tensor<float>>(static_cast<std::size_t>(batch), embedded));
}

template <class T, class Attention>
template <class Attend>
Tensor<float> UNet2DBody<T, Attention>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                                   const Tensor<float>& temb, const Attend& attend) const {
  if (sample.rank() != 4 || sample.dim(3) != shape_.in_channels || sample.empty())
    throw ArgumentError("unet", "sample " + to_string(sample.shape()) + ", expected [N, H, W, " +
                                    std::to_string(shape_.in_channels) + "]");
  const auto attended = [&](const Layer& layer, Tensor<float> hidden) {
    return layer.attention ? attend(*layer.attention, hidden) : hidden;
  };
  const auto run = [&](const Layer& layer, Tensor<float> x) {
    return attended(layer, layer.resnet(context, std::move(x), &temb));
  };
  auto x = conv_in_(context, sample);
  std::vector<Tensor<float>> skips{x};
  for (const auto& block : down_blocks_) {
    for (const auto& layer : block.layers) skips.push_back(x = run(layer, std::move(x)));
    if (block.downsampler) skips.push_back(x = (*block.downsampler)(context, x));
  }
  for (const auto& layer : mid_block_) x = run(layer, std::move(x));
  for (const auto& block : up_blocks_) {
    for (const auto& layer : block.layers) {
      const auto skip = std::move(skips.back());
      skips.pop_back();
      if (layer.resnet.takes_rounded())
        x = attended(layer,
                     layer.resnet.of_rounded(context, ops::concat_channels<T>(context, x, skip), &temb));
      else
        x = run(layer, ops::concat_channels(context, x, skip));
    }
    // To the size of the next skip connection: double, or one less where the way down rounded up.
    if (block.upsampler) x = (*block.upsampler)(context, x, skips.back().dim(1), skips.back().dim(2));
  }
  return conv_out_(context, conv_norm_out_.template apply<float>(context, x));
}

}  // namespace daguerre::models
