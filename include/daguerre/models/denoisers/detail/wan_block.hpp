#pragma once

#include <optional>
#include <span>

#include "daguerre/nn/ada_norm_single.hpp"
#include "daguerre/nn/joint_attention.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::models::detail {

/// What all blocks of Wan read beside their tokens; borrowed.
template <class T>
struct WanBlockCall {
  const Tensor<float>& steering;       // [R, 6 dim]
  std::span<const std::int32_t> rows;  // see ops::ChannelChunk
  const ops::RotaryTable& rotation;
  const Tensor<T>& prompt;  // [N, S, dim]
  const Tensor<T>* image;   // [N, I, dim]; nullptr: none
};

/// Attention of a film's tokens to each other, to the prompt's and to a picture's, and a feed-forward
/// (diffusers' WanTransformerBlock).
template <class T>
class WanBlock {
 public:
  struct Options {
    Index dim = 0;
    int heads = 1;
    Index head_dim = 0;
    Index ffn_dim = 0;
    bool cross_attn_norm = true;
    bool added_kv = false;
    float epsilon = 1e-6f;
  };
  WanBlock(const nn::Loader& loader, const Options& options);

  /// `x[N, L, dim]`.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const WanBlockCall<T>& call) const;

 private:
  /// Keys and values of a picture's tokens.
  struct ImageKeys {
    nn::Linear<T> to_kv;
    ops::HeadNorm norm;
  };
  /// Of a call's picture; none where there is no picture.
  std::optional<nn::DecoupledKeys> image_keys(const ops::Context& context, const Tensor<T>* image) const;

  Options options_;
  std::shared_ptr<const ops::Engine> engine_;
  Tensor<float> scale_shift_table_;  // [6 dim]
  nn::QkvProjection<T> qkv_;
  nn::Linear<T> to_out_;
  std::optional<nn::LayerNorm> norm2_;
  nn::Attention<T> attn2_;
  std::optional<ImageKeys> image_keys_;
  nn::FeedForward<T> ffn_;
};

}  // namespace daguerre::models::detail
