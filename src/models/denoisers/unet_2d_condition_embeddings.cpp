#include <string>
#include <utility>

#include "daguerre/models/denoisers/unet_2d_condition_embeddings-inl.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models {

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
      text_norm_.emplace(loader.sub("text_norm"), out, detail::unet_embedding_epsilon);
      image_proj_.emplace(loader.sub("image_proj"), in, out);
      return;
    case Kind::image:
    case Kind::image_hint:
      image_proj_.emplace(loader.sub("image_proj"), in, out);
      image_norm_.emplace(loader.sub("image_norm"), out, detail::unet_embedding_epsilon);
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
  detail::check_unet_vectors("text_embeds", inputs.text_embeds, batch, options_.input_width - time_width);
  const auto times =
      ops::timestep_embedding(context, ops::host_values(ids), options_.time_width, options_.sinusoid);
  return (*perceptron_)(
      context, ops::concat_channels(context, inputs.text_embeds, times.reshape({batch, time_width})));
}

Tensor<float> AdditionEmbedding::operator()(const ops::Context& context, const UNet2DConditionInputs& inputs,
                                            Index batch) const {
  using Kind = AdditionEmbeddingOptions::Kind;
  if (options_.kind == Kind::text) return (*tokens_)(context, inputs.encoder_hidden_states);
  if (options_.kind == Kind::text_time) return text_time(context, inputs, batch);
  detail::check_unet_vectors("image_embeds", inputs.image_embeds, batch, options_.input_width);
  const auto image = (*image_proj_)(context, inputs.image_embeds);
  if (image_norm_) return image_norm_->apply<float>(context, image);
  detail::check_unet_vectors("text_embeds", inputs.text_embeds, batch, options_.input_width);
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

template class StatesProjection<float>;
template class StatesProjection<bfloat16>;

}  // namespace daguerre::models
