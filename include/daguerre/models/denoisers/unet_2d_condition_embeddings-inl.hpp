#pragma once

#include <array>
#include <string>
#include <utility>

#include "daguerre/models/denoisers/unet_2d_condition_embeddings.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float unet_embedding_epsilon = 1e-5f;

/// Throws ArgumentError unless `x` is `[batch, width]`.
inline void check_unet_vectors(const char* what, const Tensor<float>& x, Index batch, Index width) {
  if (x.rank() != 2 || x.dim(0) != batch || x.dim(1) != width)
    throw ArgumentError("unet", std::string(what) + " " + to_string(x.shape()) + ", expected [" +
                                    std::to_string(batch) + ", " + std::to_string(width) + "]");
}

inline Index image_token_count(StatesProjectionOptions::Kind kind) {
  return kind == StatesProjectionOptions::Kind::text_image_proj ? 10 : 32;
}

}  // namespace detail

template <class T>
StatesProjection<T>::StatesProjection(const nn::Loader& loader, const StatesProjectionOptions& options)
    : options_(options) {
  using Kind = StatesProjectionOptions::Kind;
  const Index image_width = checked_multiply(detail::image_token_count(options.kind), options.width);
  switch (options.kind) {
    case Kind::none:
      return;
    case Kind::text_proj:
      text_.emplace(loader, options.input_width, options.width);
      return;
    case Kind::text_image_proj:
      text_.emplace(loader.sub("text_proj"), options.input_width, options.width);
      image_.emplace(loader.sub("image_embeds"), options.width, image_width);
      return;
    case Kind::image_proj:
      image_.emplace(loader.sub("image_embeds"), options.input_width, image_width);
      norm_.emplace(loader.sub("norm"), options.width, detail::unet_embedding_epsilon);
  }
}

template <class T>
Tensor<T> StatesProjection<T>::image_tokens(const ops::Context& context, const Tensor<float>& image_embeds,
                                            Index batch) const {
  detail::check_unet_vectors("image_embeds", image_embeds, batch,
                             norm_ ? options_.input_width : options_.width);
  const auto tokens = image_->accumulate(context, ops::cast<T>(context, image_embeds))
                          .reshape({batch, detail::image_token_count(options_.kind), options_.width});
  return norm_ ? norm_->template apply<T>(context, tokens) : ops::cast<T>(context, tokens);
}

template <class T>
Tensor<T> StatesProjection<T>::operator()(const ops::Context& context, const UNet2DConditionInputs& inputs,
                                          Index batch) const {
  using Kind = StatesProjectionOptions::Kind;
  if (options_.kind == Kind::image_proj) return image_tokens(context, inputs.image_embeds, batch);
  const auto& states = inputs.encoder_hidden_states;
  if (states.rank() != 3 || states.dim(0) != batch || states.empty())
    throw ArgumentError("unet", "encoder_hidden_states " + to_string(states.shape()) + " beside a batch of " +
                                    std::to_string(batch));
  if (text_ && states.dim(2) != options_.input_width)
    throw ArgumentError("unet", "encoder_hidden_states " + to_string(states.shape()) +
                                    ", expected tokens of " + std::to_string(options_.input_width));
  const auto rounded = ops::cast<T>(context, states);
  if (options_.kind == Kind::none) return rounded;
  const auto text = (*text_)(context, rounded);
  if (options_.kind == Kind::text_proj) return text;

  const auto image = image_tokens(context, inputs.image_embeds, batch);
  return ops::concat<T>(context, std::array{image, text}, 1);
}

extern template class StatesProjection<float>;
extern template class StatesProjection<bfloat16>;

}  // namespace daguerre::models
