#include "daguerre/nn/text_time_embedding.hpp"

#include <array>
#include <cmath>

#include "daguerre/nn/attention.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/ops/reduce.hpp"

namespace daguerre::nn {
namespace {

constexpr float epsilon = 1e-5f;

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
  const auto normed = norm1_.apply<float>(context, states);
  const auto mean =
      ops::add_to_each(context, ops::mean(context, normed, 1), positional_embedding_.reshape({encoder_dim_}))
          .reshape({batch, 1, encoder_dim_});
  const auto tokens = ops::concat<float>(context, std::array{mean, normed}, 1);

  const auto q = q_proj_(context, mean), kv = kv_proj_(context, tokens);
  using View = ops::TokenView<float>;
  ops::AttentionArguments<float> arguments{View::all(q), View::columns(kv, 0, encoder_dim_),
                                           View::columns(kv, encoder_dim_, encoder_dim_), heads_};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(encoder_dim_ / heads_));
  const auto pooled = attend(context, *engine_, arguments).reshape({batch, encoder_dim_});
  return norm2_.apply<float>(context, proj_(context, pooled));
}

}  // namespace daguerre::nn
