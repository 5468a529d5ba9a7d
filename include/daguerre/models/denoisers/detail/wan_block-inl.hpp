#pragma once

#include <array>

#include "daguerre/models/denoisers/detail/wan_block.hpp"
#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/joint_attention-inl.hpp"
#include "daguerre/nn/transformer-inl.hpp"

namespace daguerre::models::detail {

inline nn::QueryKeyNorm wan_qk_norm(float epsilon) {
  return nn::query_key_norm_called("rms_norm_across_heads", true, epsilon);
}

template <class T>
WanBlock<T>::WanBlock(const nn::Loader& loader, const Options& options)
    : options_(options),
      engine_(loader.context.engine),
      scale_shift_table_(
          loader.tensor("scale_shift_table", {1, nn::AdaLayerNormSingle<T>::parts, options.dim})
              .reshape({nn::AdaLayerNormSingle<T>::parts * options.dim})),
      qkv_(loader.sub("attn1"), {.dim = options.dim,
                                 .heads = options.heads,
                                 .head_dim = options.head_dim,
                                 .qk_norm = wan_qk_norm(options.epsilon)}),
      to_out_(loader.sub("attn1").sub("to_out", 0), options.dim, options.dim),
      attn2_(loader.sub("attn2"), {.query_dim = options.dim,
                                   .cross_attention_dim = options.dim,
                                   .heads = options.heads,
                                   .head_dim = options.head_dim,
                                   .bias = true,
                                   .qk_norm = wan_qk_norm(options.epsilon)}),
      ffn_(
          nn::FeedForward<T>::of_width(loader.sub("ffn"), options.dim, options.ffn_dim, "gelu-approximate")) {
  if (options.cross_attn_norm) norm2_.emplace(loader.sub("norm2"), options.dim, options.epsilon);
  if (!options.added_kv) return;
  const auto attention = loader.sub("attn2");
  image_keys_ = ImageKeys{
      nn::Linear<T>::side_by_side(std::array{attention.sub("add_k_proj"), attention.sub("add_v_proj")},
                                  options.dim, options.dim),
      nn::detail::read_head_norm(attention.sub("norm_added_k"), wan_qk_norm(options.epsilon), options.heads,
                                 options.head_dim)};
  // Some files have one for queries, too, which the reference reads and does not use.
  if (attention.scope.contains("norm_added_q.weight")) attention.tensor("norm_added_q.weight", {options.dim});
}

template <class T>
std::optional<nn::DecoupledKeys> WanBlock<T>::image_keys(const ops::Context& context,
                                                         const Tensor<T>* image) const {
  if (!image_keys_ || image == nullptr) return std::nullopt;
  const auto kv = image_keys_->to_kv(context, *image);
  const ops::HeadStream<T> keys{ops::TokenView<T>::columns(kv, 0, options_.dim), &image_keys_->norm};
  const auto normed = ops::join_heads<T>(context, std::array{keys}, options_.head_dim);
  return nn::DecoupledKeys{ops::concat_channels(
      context, ops::cast<float>(context, normed),
      ops::cast<float>(context, ops::narrow(context, kv, -1, options_.dim, options_.dim)))};
}

template <class T>
Tensor<float> WanBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                      const WanBlockCall<T>& call) const {
  using Norm = nn::AdaLayerNormSingle<T>;
  context.check_stop();
  const auto modulation = ops::add_to_each(context, call.steering, scale_shift_table_);
  const auto part = [&](int index) { return ops::ChannelChunk{modulation, index, call.rows}; };
  Tensor<T> attended;
  {
    const auto normed = ops::modulated_layer_norm<T>(context, x, part(Norm::scale_msa), part(Norm::shift_msa),
                                                     options_.epsilon);
    const auto qkv = qkv_(context, normed);
    attended = nn::attend_jointly<T>(context, *engine_, std::array{nn::QkvStream<T>{qkv_, qkv}},
                                     options_.heads, options_.head_dim, &call.rotation);
  }
  auto y = ops::add_gated(context, x, part(Norm::gate_msa), to_out_.accumulate(context, attended));
  const auto normed = norm2_ ? norm2_->template apply<T>(context, y) : ops::cast<T>(context, y);
  const auto keys = image_keys(context, call.image);
  y = attn2_(context, normed, &call.prompt, nullptr, &y,
             keys ? std::span(&*keys, 1) : std::span<const nn::DecoupledKeys>());
  const auto inner = ops::modulated_layer_norm<T>(context, y, part(Norm::scale_mlp), part(Norm::shift_mlp),
                                                  options_.epsilon);
  return ops::add_gated(context, y, part(Norm::gate_mlp), ffn_(context, inner));
}

extern template class WanBlock<float>;
extern template class WanBlock<bfloat16>;

}  // namespace daguerre::models::detail
