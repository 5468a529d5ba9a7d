#include "daguerre/nn/text_time_embedding.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "daguerre/nn/attention.hpp"

namespace daguerre::nn {
namespace {

constexpr float epsilon = 1e-5f;

/// `[N, 1 + S, C]`: the mean of the tokens plus `position[C]`, then the tokens `[N, S, C]`.
Tensor<float> with_mean(const Tensor<float>& tokens, const Tensor<float>& position) {
  const Index batch = tokens.dim(0), length = tokens.dim(1), width = tokens.dim(2);
  Tensor<float> result({batch, 1 + length, width});
  for (Index n = 0; n < batch; ++n) {
    const float* from = tokens.data() + n * length * width;
    float* to = result.data() + n * (1 + length) * width;
    for (Index c = 0; c < width; ++c) {
      double sum = 0.0;
      for (Index s = 0; s < length; ++s) sum += static_cast<double>(from[s * width + c]);
      to[c] = static_cast<float>(sum / static_cast<double>(length)) + position.data()[c];
    }
    std::copy_n(from, length * width, to + width);
  }
  return result;
}

}  // namespace

TextTimeEmbedding::TextTimeEmbedding(const Loader& loader, Index encoder_dim, Index time_embed_dim, int heads)
    : encoder_dim_(encoder_dim),
      heads_(heads),
      engine_(loader.context.engine),
      norm1_(loader.sub("norm1"), encoder_dim, epsilon),
      positional_embedding_(loader.sub("pool").tensor("positional_embedding", {1, encoder_dim})),
      q_proj_(loader.sub("pool").sub("q_proj"), encoder_dim, encoder_dim),
      kv_proj_(Linear<float>::side_by_side(
          std::array{loader.sub("pool").sub("k_proj"), loader.sub("pool").sub("v_proj")}, encoder_dim,
          encoder_dim)),
      proj_(loader.sub("proj"), encoder_dim, time_embed_dim),
      norm2_(loader.sub("norm2"), time_embed_dim, epsilon) {
  if (heads < 1 || encoder_dim % heads != 0)
    throw ConfigError("text_time_embedding", loader.scope.prefix() + ": " + std::to_string(encoder_dim) +
                                                 " channels do not split into " + std::to_string(heads) +
                                                 " heads");
}

Tensor<float> TextTimeEmbedding::operator()(const ops::Context& context, const Tensor<float>& states) const {
  if (states.rank() != 3 || states.dim(2) != encoder_dim_ || states.empty())
    throw ArgumentError("text_time_embedding", "states " + to_string(states.shape()) + ", expected [N, S, " +
                                                   std::to_string(encoder_dim_) + "]");
  const Index batch = states.dim(0);
  const auto tokens = with_mean(norm1_.apply<float>(context, states), positional_embedding_);
  Tensor<float> mean({batch, 1, encoder_dim_});
  for (Index n = 0; n < batch; ++n)
    std::copy_n(tokens.data() + n * tokens.dim(1) * encoder_dim_, encoder_dim_,
                mean.data() + n * encoder_dim_);

  const auto q = q_proj_(context, mean), kv = kv_proj_(context, tokens);
  using View = ops::TokenView<float>;
  ops::AttentionArguments<float> arguments{View::all(q), View::columns(kv, 0, encoder_dim_),
                                           View::columns(kv, encoder_dim_, encoder_dim_), heads_};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(encoder_dim_ / heads_));
  const auto pooled = attend(context, *engine_, arguments).reshape({batch, encoder_dim_});
  return norm2_.apply<float>(context, proj_(context, pooled));
}

}  // namespace daguerre::nn
