#include "daguerre/models/unet_2d.hpp"

#include "daguerre/ops/elementwise.hpp"

namespace daguerre::models {
namespace {

template <class T>
auto attentions(const UNet2DConfig& config) {
  using Body = UNet2DBody<T, nn::SpatialAttention<T>>;
  return [&config](const nn::Loader& loader, std::size_t index,
                   typename Body::Place place) -> std::optional<nn::SpatialAttention<T>> {
    const auto& level = config.attention[index];
    const bool mid = place == Body::Place::mid;
    const bool wanted = mid                          ? config.mid_attention
                        : place == Body::Place::down ? level.down_attention
                                                     : level.up_attention;
    if (!wanted) return std::nullopt;
    return nn::SpatialAttention<T>(
        loader, {.channels = config.shape.levels[index].channels,
                 .heads = level.heads,
                 .norm_num_groups = mid ? config.mid_attention_groups : config.shape.resnet.groups,
                 .norm_epsilon = config.shape.resnet.epsilon,
                 .rescale_output_factor =
                     mid ? config.shape.mid_block_scale_factor : config.shape.resnet.output_scale_factor});
  };
}

}  // namespace

template <class T>
UNet2D<T>::UNet2D(const UNet2DConfig& config, const nn::Loader& loader)
    : config_(config), body_(config.shape, loader, attentions<T>(config)) {
  if (config.num_class_embeds > 0)
    class_embedding_ = loader.sub("class_embedding")
                           .tensor("weight", {config.num_class_embeds, config.shape.resnet.temb_channels});
}

template <class T>
Tensor<float> UNet2D<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                    std::span<const float> timesteps,
                                    std::span<const std::int32_t> class_labels) const {
  const Index batch = sample.rank() == 0 ? 0 : sample.dim(0);
  const Index wanted = config_.num_class_embeds > 0 ? batch : 0;
  if (static_cast<Index>(class_labels.size()) != wanted)
    throw ArgumentError(
        "unet", std::to_string(class_labels.size()) + " class labels, expected " + std::to_string(wanted));
  auto temb = body_.time_embedding(context, timesteps, batch);
  if (wanted > 0) temb = ops::add(context, temb, ops::embedding_lookup(class_embedding_, class_labels));
  return body_(context, sample, temb, [&](const nn::SpatialAttention<T>& attention, const Tensor<float>& x) {
    return attention(context, x);
  });
}

template class UNet2D<float>;
template class UNet2D<bfloat16>;

}  // namespace daguerre::models
