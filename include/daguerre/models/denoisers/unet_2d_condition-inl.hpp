#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/denoisers/unet_2d_body-inl.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/models/denoisers/unet_2d_condition_embeddings-inl.hpp"
#include "daguerre/models/denoisers/unet_film_body-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"

namespace daguerre::models {
namespace detail {

/// The same as blocks take it; borrowed.
template <class T>
UNetBlockInputs<T> told_to_blocks(const UNet2DConditionStates<T>& told) {
  UNetBlockInputs<T> result{told.temb, &told.states, told.key_bias.empty() ? nullptr : &told.key_bias};
  result.frames = told.frames;
  return result;
}

/// Films as their frames, one behind the other; pictures as they are.
inline Tensor<float> as_frames(const Tensor<float>& x) {
  if (x.rank() != 5) return x;
  return x.reshape({x.dim(0) * x.dim(1), x.dim(2), x.dim(3), x.dim(4)});
}

}  // namespace detail

template <class T>
UNet2DConditionEmbedder<T>::UNet2DConditionEmbedder(const UNet2DConditionConfig& config,
                                                    const nn::Loader& loader)
    : config_(config),
      time_projection_(loader.sub("time_proj"), config.time),
      time_embedding_(loader.sub("time_embedding"), config.time.width, config.time_embedding_dim,
                      config.time_perceptron),
      class_embedding_(loader.sub("class_embedding"), config.classes),
      addition_(loader.sub("add_embedding"), config.addition),
      states_(loader.sub("encoder_hid_proj"), config.states) {}

template <class T>
void UNet2DConditionEmbedder<T>::check(const UNet2DConditionInputs& inputs) const {
  using Addition = AdditionEmbeddingOptions::Kind;
  using States = StatesProjectionOptions::Kind;
  const auto addition = config_.addition.kind;
  const auto refuse = [](const Tensor<float>& given, bool is_read, const char* what) {
    if (!given.empty() && !is_read) throw ArgumentError("unet", std::string("this model takes no ") + what);
  };
  refuse(inputs.class_labels, !class_embedding_.is_none(), "class_labels");
  refuse(inputs.timestep_cond, config_.time_perceptron.condition_channels > 0, "timestep_cond");
  refuse(inputs.text_embeds, addition == Addition::text_time || addition == Addition::text_image,
         "text_embeds");
  refuse(inputs.time_ids, addition == Addition::text_time, "time_ids");
  refuse(inputs.image_embeds,
         addition == Addition::text_image || addition == Addition::image ||
             addition == Addition::image_hint || config_.states.kind == States::image_proj ||
             config_.states.kind == States::text_image_proj,
         "image_embeds");
  refuse(inputs.hint, addition == Addition::image_hint, "hint");
  if (inputs.decoupled.empty()) return;
  if (const auto count = config_.shape.cross_attentions().size(); inputs.decoupled.size() != count)
    throw ArgumentError("unet", "keys of pictures for " + std::to_string(inputs.decoupled.size()) +
                                    " cross-attentions, this model has " + std::to_string(count));
}

template <class T>
Tensor<float> UNet2DConditionEmbedder<T>::embedding(const ops::Context& context,
                                                    std::span<const float> timesteps,
                                                    const UNet2DConditionInputs& inputs, Index batch) const {
  auto result = embedded_time(context, time_projection_, time_embedding_, timesteps, batch,
                              inputs.timestep_cond.empty() ? nullptr : &inputs.timestep_cond);
  if (!class_embedding_.is_none()) {
    const auto classes = class_embedding_(context, inputs.class_labels, batch, time_projection_);
    result = config_.class_embeddings_concat ? ops::concat_channels(context, result, classes)
                                             : ops::add(context, result, classes);
  }
  if (!addition_.is_none()) result = ops::add(context, result, addition_(context, inputs, batch));
  return config_.time_activation == ops::Activation::none
             ? result
             : ops::activate(context, result, config_.time_activation);
}

template <class T>
UNet2DConditionStates<T> UNet2DConditionEmbedder<T>::operator()(const ops::Context& context,
                                                                std::span<const float> timesteps,
                                                                const UNet2DConditionInputs& inputs,
                                                                Index batch) const {
  check(inputs);
  UNet2DConditionStates<T> result;
  const bool reads = config_.reads_states();  // some look at no prompt, whatever they are given
  if (reads) result.states = states_(context, inputs, batch);
  if (reads && !inputs.encoder_attention_mask.empty()) {
    const auto& mask = inputs.encoder_attention_mask;
    if (mask.rank() != 2 || mask.dim(0) != batch || mask.dim(1) != result.states.dim(1))
      throw ArgumentError("unet", "encoder_attention_mask " + to_string(mask.shape()) + " for tokens " +
                                      to_string(result.states.shape()));
    result.key_bias = ops::affine(context, mask, 10000.0f, -10000.0f);
  }
  result.temb = embedding(context, timesteps, inputs, batch);
  return result;
}

template <class T>
UNet2DConditionStates<T> UNet2DConditionEmbedder<T>::for_sample(const ops::Context& context,
                                                                std::span<const float> timesteps,
                                                                const UNet2DConditionInputs& inputs,
                                                                const Shape& sample) const {
  if (sample.rank() != 5) return (*this)(context, timesteps, inputs, sample.rank() == 0 ? 0 : sample[0]);
  const Index films = sample[0], frames = sample[1];
  const auto& states = inputs.encoder_hidden_states;
  const bool told_frames = frames > 1 && states.rank() > 0 && states.dim(0) == films * frames;
  UNet2DConditionStates<T> result;
  if (told_frames && static_cast<Index>(timesteps.size()) == films) {
    std::vector<float> repeated;
    for (const float time : timesteps)
      repeated.insert(repeated.end(), static_cast<std::size_t>(frames), time);
    result = (*this)(context, repeated, inputs, films * frames);
  } else {
    result = (*this)(context, timesteps, inputs, told_frames ? films * frames : films);
    if (!told_frames) result.temb = detail::for_each_frame(context, result.temb, frames);
  }
  result.frames = frames;
  return result;
}

template <class T>
UNet2DCondition<T>::UNet2DCondition(const UNet2DConditionConfig& config, const nn::Loader& loader)
    : config_(config), embedder_(config, loader), body_(config.shape, loader) {}

template <class T>
Tensor<float> UNet2DCondition<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                             std::span<const float> timesteps,
                                             const UNet2DConditionInputs& inputs) const {
  if (sample.rank() == 5 && config_.most_frames == 0)
    throw ArgumentError(
        "unet", "sample " + to_string(sample.shape()) + " is a film, and this U-Net has no motion modules");
  const auto told = embedder_.for_sample(context, timesteps, inputs, sample.shape());
  auto blocks = detail::told_to_blocks(told);
  blocks.decoupled = inputs.decoupled;
  if (inputs.free_u) blocks.free_u = &*inputs.free_u;
  if (inputs.windows) blocks.windows = &*inputs.windows;
  const auto hint = embedder_.hint_channels(context, inputs);
  const auto frames = detail::as_frames(sample);
  const auto y = body_(context, hint.empty() ? frames : ops::concat_channels(context, frames, hint), blocks,
                       &inputs.features);
  return sample.rank() == 5 ? y.reshape(sample.shape().with(4, y.dim(-1))) : y;
}

template <class T>
Tensor<float> UNet2DCondition<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                             std::span<const float> timesteps,
                                             const Tensor<float>& encoder_hidden_states,
                                             const Tensor<float>* encoder_attention_mask) const {
  UNet2DConditionInputs inputs;
  inputs.encoder_hidden_states = encoder_hidden_states;
  if (encoder_attention_mask != nullptr) inputs.encoder_attention_mask = *encoder_attention_mask;
  return (*this)(context, sample, timesteps, inputs);
}

extern template class UNet2DConditionEmbedder<float>;
extern template class UNet2DConditionEmbedder<bfloat16>;
extern template class UNet2DCondition<float>;
extern template class UNet2DCondition<bfloat16>;

}  // namespace daguerre::models
