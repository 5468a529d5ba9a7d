#include "daguerre/models/unet_2d_condition.hpp"

#include "daguerre/ops/elementwise.hpp"

namespace daguerre::models {
namespace {

nn::ResnetOptions resnet_options(const UNet2DConditionConfig& config, Index in, Index out) {
  return {.in_channels = in,
          .out_channels = out,
          .temb_channels = config.time_embedding_dim,
          .groups = config.norm_num_groups,
          .epsilon = config.norm_eps,
          .non_linearity = config.act_fn,
          .scale_shift = config.resnet_scale_shift,
          .output_scale_factor = config.resnet_out_scale_factor};
}

template <class T>
std::optional<nn::Transformer2D<T>> transformer(const nn::Loader& loader, const UNet2DConditionConfig& config,
                                                const UNet2DConditionConfig::Level& level, int heads) {
  if (heads == 0) return std::nullopt;
  typename nn::Transformer2D<T>::Options options;
  options.in_channels = level.channels;
  options.num_layers = level.transformer_layers;
  options.norm_num_groups = config.norm_num_groups;
  options.use_linear_projection = config.use_linear_projection;
  options.block.num_attention_heads = heads;
  options.block.attention_head_dim = level.channels / heads;
  options.block.cross_attention_dim = level.cross_attention_dim;
  return nn::Transformer2D<T>(loader, options);
}

}  // namespace

template <class T>
UNet2DCondition<T>::UNet2DCondition(const UNet2DConditionConfig& config, const nn::Loader& root)
    : config_(config),
      conv_in_(root.sub("conv_in"), config.in_channels, config.levels.front().channels, 3,
               ops::ConvGeometry::same(1)),
      time_embedding_(root.sub("time_embedding"), config.levels.front().channels, config.time_embedding_dim,
                      config.act_fn),
      conv_norm_out_(root.sub("conv_norm_out"), config.levels.front().channels, config.norm_num_groups,
                     config.norm_eps, config.act_fn),
      conv_out_(root.sub("conv_out"), config.levels.front().channels, config.out_channels, 3,
                ops::ConvGeometry::same(1)) {
  const int count = static_cast<int>(config.levels.size());
  Index channels = config.levels.front().channels;
  std::vector<Index> skips{channels};  // channels of the feature maps that the way up will join
  for (int i = 0; i < count; ++i) {
    const auto& level = config.levels[static_cast<std::size_t>(i)];
    const auto loader = root.sub("down_blocks", i);
    DownBlock block;
    for (int j = 0; j < level.layers; ++j) {
      block.layers.push_back(
          {nn::ResnetBlock2D<T>(loader.sub("resnets", j), resnet_options(config, channels, level.channels)),
           transformer<T>(loader.sub("attentions", j), config, level, level.attention_heads)});
      channels = level.channels;
      skips.push_back(channels);
    }
    if (i + 1 < count) {
      block.downsampler.emplace(loader.sub("downsamplers", 0), channels, channels, config.downsample_padding);
      skips.push_back(channels);
    }
    down_blocks_.push_back(std::move(block));
  }

  const auto mid = root.sub("mid_block");
  auto options = resnet_options(config, channels, channels);
  options.output_scale_factor = config.mid_block_scale_factor;
  mid_block_.push_back(
      {nn::ResnetBlock2D<T>(mid.sub("resnets", 0), options),
       transformer<T>(mid.sub("attentions", 0), config, config.levels.back(), config.mid_attention_heads)});
  mid_block_.push_back({nn::ResnetBlock2D<T>(mid.sub("resnets", 1), options), std::nullopt});

  for (int i = 0; i < count; ++i) {
    const auto& level = config.levels[static_cast<std::size_t>(count - 1 - i)];
    const auto loader = root.sub("up_blocks", i);
    UpBlock block;
    for (int j = 0; j <= level.layers; ++j) {
      const Index joined = channels + skips.back();
      skips.pop_back();
      block.layers.push_back(
          {nn::ResnetBlock2D<T>(loader.sub("resnets", j), resnet_options(config, joined, level.channels)),
           transformer<T>(loader.sub("attentions", j), config, level, level.up_attention_heads)});
      channels = level.channels;
    }
    if (i + 1 < count) block.upsampler.emplace(loader.sub("upsamplers", 0), channels, channels);
    up_blocks_.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> UNet2DCondition<T>::time_embedding(const ops::Context& context,
                                                 std::span<const float> timesteps, Index batch) const {
  const auto count = static_cast<Index>(timesteps.size());
  if (count != 1 && count != batch)
    throw ArgumentError("unet", std::to_string(count) + " timesteps for a batch of " + std::to_string(batch));
  const auto sinusoid = ops::timestep_embedding(timesteps, config_.levels.front().channels, config_.timestep);
  const auto embedded = time_embedding_(context, sinusoid);
  if (count == batch) return embedded;
  return concat_leading<float>(std::vector<Tensor<float>>(static_cast<std::size_t>(batch), embedded));
}

template <class T>
Tensor<float> UNet2DCondition<T>::run(const ops::Context& context, const Layer& layer, const Tensor<float>& x,
                                      const Conditioning& c) const {
  const auto hidden = layer.resnet(context, x, &c.temb);
  return layer.attention ? (*layer.attention)(context, hidden, &c.encoder_hidden_states, c.key_bias) : hidden;
}

template <class T>
Tensor<float> UNet2DCondition<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                             std::span<const float> timesteps,
                                             const Tensor<float>& encoder_hidden_states,
                                             const Tensor<float>* encoder_attention_mask) const {
  if (sample.rank() != 4 || sample.dim(3) != config_.in_channels || sample.empty())
    throw ArgumentError("unet", "sample " + to_string(sample.shape()) + ", expected [N, H, W, " +
                                    std::to_string(config_.in_channels) + "]");
  if (encoder_hidden_states.rank() != 3 || encoder_hidden_states.dim(0) != sample.dim(0))
    throw ArgumentError("unet", "encoder_hidden_states " + to_string(encoder_hidden_states.shape()) +
                                    " beside a sample " + to_string(sample.shape()));
  Tensor<float> key_bias;
  if (encoder_attention_mask != nullptr) {
    key_bias = encoder_attention_mask->clone();
    for (float& value : key_bias.span()) value = (1.0f - value) * -10000.0f;
  }
  const Conditioning c{time_embedding(context, timesteps, sample.dim(0)),
                       ops::cast<T>(context, encoder_hidden_states),
                       encoder_attention_mask == nullptr ? nullptr : &key_bias};

  auto x = conv_in_(context, ops::cast<T>(context, sample));
  std::vector<Tensor<float>> skips{x};
  for (const auto& block : down_blocks_) {
    for (const auto& layer : block.layers) skips.push_back(x = run(context, layer, x, c));
    if (block.downsampler) skips.push_back(x = (*block.downsampler)(context, x));
  }
  for (const auto& layer : mid_block_) x = run(context, layer, x, c);
  for (const auto& block : up_blocks_) {
    for (const auto& layer : block.layers) {
      x = run(context, layer, ops::concat_channels(context, x, skips.back()), c);
      skips.pop_back();
    }
    // To the size of the next skip connection: double, or one less where the way down rounded up.
    if (block.upsampler) x = (*block.upsampler)(context, x, skips.back().dim(1), skips.back().dim(2));
  }
  return conv_out_(context, conv_norm_out_.template apply<T>(context, x));
}

template class UNet2DCondition<float>;
template class UNet2DCondition<bfloat16>;

}  // namespace daguerre::models
