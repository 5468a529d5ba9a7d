#include "daguerre/models/unet_2d_condition_embeddings.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "daguerre/ops/elementwise.hpp"

namespace daguerre::models {
namespace {

constexpr float epsilon = 1e-5f;

/// Throws ArgumentError unless `x` is `[batch, width]`.
void check_vectors(const char* what, const Tensor<float>& x, Index batch, Index width) {
  if (x.rank() != 2 || x.dim(0) != batch || x.dim(1) != width)
    throw ArgumentError("unet", std::string(what) + " " + to_string(x.shape()) + ", expected [" +
                                    std::to_string(batch) + ", " + std::to_string(width) + "]");
}

Index image_token_count(StatesProjectionOptions::Kind kind) {
  return kind == StatesProjectionOptions::Kind::text_image_proj ? 10 : 32;
}

}  // namespace

// ---- the prompt's tokens

template <class T>
StatesProjection<T>::StatesProjection(const nn::Loader& loader, const StatesProjectionOptions& options)
    : options_(options) {
  using Kind = StatesProjectionOptions::Kind;
  const Index image_width = checked_multiply(image_token_count(options.kind), options.width);
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
      norm_.emplace(loader.sub("norm"), options.width, epsilon);
  }
}

template <class T>
Tensor<T> StatesProjection<T>::image_tokens(const ops::Context& context, const Tensor<float>& image_embeds,
                                            Index batch) const {
  check_vectors("image_embeds", image_embeds, batch, norm_ ? options_.input_width : options_.width);
  const auto tokens = image_->accumulate(context, ops::cast<T>(context, image_embeds))
                          .reshape({batch, image_token_count(options_.kind), options_.width});
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
  auto text = (*text_)(context, rounded);
  if (options_.kind == Kind::text_proj) return text;

  const auto image = image_tokens(context, inputs.image_embeds, batch);
  Tensor<T> joined({batch, image.dim(1) + text.dim(1), options_.width});
  T* out = joined.data();
  for (Index n = 0; n < batch; ++n) {
    const auto a = image.slice(n, n + 1), b = text.slice(n, n + 1);
    out = std::copy_n(a.data(), a.size(), out);
    out = std::copy_n(b.data(), b.size(), out);
  }
  return joined;
}

template class StatesProjection<float>;
template class StatesProjection<bfloat16>;

// ---- what is added to the time

AdditionEmbedding::AdditionEmbedding(const nn::Loader& loader, const AdditionEmbeddingOptions& options)
    : options_(options) {
  using Kind = AdditionEmbeddingOptions::Kind;
  const Index in = options.input_width, out = options.width;
  switch (options.kind) {
    case Kind::none:
      return;
    case Kind::text:
      tokens_.emplace(loader, in, out, options.heads);
      return;
    case Kind::text_time:
      perceptron_.emplace(loader, in, out);
      return;
    case Kind::text_image:
      text_proj_.emplace(loader.sub("text_proj"), in, out);
      text_norm_.emplace(loader.sub("text_norm"), out, epsilon);
      image_proj_.emplace(loader.sub("image_proj"), in, out);
      return;
    case Kind::image:
    case Kind::image_hint:
      image_proj_.emplace(loader.sub("image_proj"), in, out);
      image_norm_.emplace(loader.sub("image_norm"), out, epsilon);
  }
  if (options.kind != Kind::image_hint) return;
  constexpr struct {
    Index in, out;
    int stride;
  } convolutions[] = {{3, 16, 1},  {16, 16, 1}, {16, 32, 2},  {32, 32, 1},
                      {32, 96, 2}, {96, 96, 1}, {96, 256, 2}, {256, 4, 1}};
  int index = 0;  // activations count as well
  for (const auto& convolution : convolutions) {
    hint_.emplace_back(loader.sub("input_hint_block", index), convolution.in, convolution.out, 3,
                       ops::ConvGeometry::same(1, convolution.stride));
    index += 2;
  }
}

Tensor<float> AdditionEmbedding::text_time(const ops::Context& context, const UNet2DConditionInputs& inputs,
                                           Index batch) const {
  const auto& ids = inputs.time_ids;
  if (ids.rank() != 2 || ids.dim(0) != batch || ids.empty())
    throw ArgumentError("unet",
                        "time_ids " + to_string(ids.shape()) + " beside a batch of " + std::to_string(batch));
  const Index time_width = ids.dim(1) * options_.time_width;
  check_vectors("text_embeds", inputs.text_embeds, batch, options_.input_width - time_width);
  const auto times = ops::timestep_embedding(ids.span(), options_.time_width, options_.sinusoid);
  return (*perceptron_)(
      context, ops::concat_channels(context, inputs.text_embeds, times.reshape({batch, time_width})));
}

Tensor<float> AdditionEmbedding::operator()(const ops::Context& context, const UNet2DConditionInputs& inputs,
                                            Index batch) const {
  using Kind = AdditionEmbeddingOptions::Kind;
  if (options_.kind == Kind::text) return (*tokens_)(context, inputs.encoder_hidden_states);
  if (options_.kind == Kind::text_time) return text_time(context, inputs, batch);
  check_vectors("image_embeds", inputs.image_embeds, batch, options_.input_width);
  const auto image = (*image_proj_)(context, inputs.image_embeds);
  if (image_norm_) return image_norm_->apply<float>(context, image);
  check_vectors("text_embeds", inputs.text_embeds, batch, options_.input_width);
  return ops::add(context, image,
                  text_norm_->apply<float>(context, (*text_proj_)(context, inputs.text_embeds)));
}

Tensor<float> AdditionEmbedding::hint_channels(const ops::Context& context,
                                               const UNet2DConditionInputs& inputs) const {
  if (hint_.empty()) return {};
  if (inputs.hint.rank() != 4 || inputs.hint.dim(3) != 3 || inputs.hint.empty())
    throw ArgumentError("unet", "hint " + to_string(inputs.hint.shape()) + ", expected [N, H, W, 3]");
  auto x = hint_.front()(context, inputs.hint);
  for (std::size_t i = 1; i < hint_.size(); ++i)
    x = hint_[i](context, ops::activate(context, x, ops::Activation::silu));
  return x;
}

}  // namespace daguerre::models
