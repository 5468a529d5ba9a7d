#include "daguerre/models/unet_2d_condition.hpp"

#include "daguerre/ops/elementwise.hpp"

namespace daguerre::models {
namespace {

UNet2DShape shape_of(const UNet2DConditionConfig& config) {
  UNet2DShape shape;
  shape.in_channels = config.in_channels;
  shape.out_channels = config.out_channels;
  for (const auto& level : config.levels) shape.levels.push_back({level.channels, level.layers});
  shape.resnet = {.temb_channels = config.time_embedding_dim,
                  .groups = config.norm_num_groups,
                  .epsilon = config.norm_eps,
                  .non_linearity = config.act_fn,
                  .scale_shift = config.resnet_scale_shift,
                  .output_scale_factor = config.resnet_out_scale_factor};
  shape.mid_block_scale_factor = config.mid_block_scale_factor;
  shape.downsample_padding = config.downsample_padding;
  shape.time_activation = config.act_fn;
  shape.out_activation = config.act_fn;
  shape.timestep = config.timestep;
  return shape;
}

template <class T>
auto transformers(const UNet2DConditionConfig& config) {
  using Body = UNet2DBody<T, nn::Transformer2D<T>>;
  return [&config](const nn::Loader& loader, std::size_t index,
                   typename Body::Place place) -> std::optional<nn::Transformer2D<T>> {
    const auto& level = config.levels[index];
    const int heads = place == Body::Place::down ? level.attention_heads
                      : place == Body::Place::up ? level.up_attention_heads
                                                 : config.mid_attention_heads;
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
  };
}

}  // namespace

template <class T>
UNet2DCondition<T>::UNet2DCondition(const UNet2DConditionConfig& config, const nn::Loader& loader)
    : config_(config), body_(shape_of(config), loader, transformers<T>(config)) {}

template <class T>
Tensor<float> UNet2DCondition<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                             std::span<const float> timesteps,
                                             const Tensor<float>& encoder_hidden_states,
                                             const Tensor<float>* encoder_attention_mask) const {
  if (encoder_hidden_states.rank() != 3 || sample.rank() == 0 ||
      encoder_hidden_states.dim(0) != sample.dim(0))
    throw ArgumentError("unet", "encoder_hidden_states " + to_string(encoder_hidden_states.shape()) +
                                    " beside a sample " + to_string(sample.shape()));
  Tensor<float> key_bias;
  if (encoder_attention_mask != nullptr) {
    key_bias = encoder_attention_mask->clone();
    for (float& value : key_bias.span()) value = (1.0f - value) * -10000.0f;
  }
  const Tensor<float>* bias = encoder_attention_mask == nullptr ? nullptr : &key_bias;
  const auto states = ops::cast<T>(context, encoder_hidden_states);
  const auto temb = body_.time_embedding(context, timesteps, sample.dim(0));
  return body_(context, sample, temb, [&](const nn::Transformer2D<T>& attention, const Tensor<float>& x) {
    return attention(context, x, &states, bias);
  });
}

template class UNet2DCondition<float>;
template class UNet2DCondition<bfloat16>;

}  // namespace daguerre::models
