#pragma once

#include <optional>

#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/joint_attention.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::nn {

/// A picture's tokens `[N, L, dim]` and a prompt's `[N, S, dim]`, as they run through a network.
struct JointTokens {
  Tensor<float> picture, prompt;
};

struct JointTransformerOptions {
  Index dim = 0;
  int num_attention_heads = 1;
  Index attention_head_dim = 64;
  Index mlp_dim = 0;                ///< width inside the feed-forward networks; 0: 4 dim
  bool context_pre_only = false;    ///< the last block, behind which nobody reads the prompt's tokens
  bool use_dual_attention = false;  ///< the picture's tokens also look at themselves alone
  std::optional<QueryKeyNorm> qk_norm{};
};

/// A block of a multimodal diffusion transformer (Esser et al. 2024, fig. 2; diffusers'
/// JointTransformerBlock, FluxTransformerBlock and HunyuanVideoTransformerBlock): picture and prompt have
/// weights of their own, and look at each other in one attention. All norms have epsilon 1e-6 and no
/// parameters.
template <class T>
class JointTransformerBlock {
 public:
  /// Reads `norm1`, `norm1_context`, `attn`, `ff`, and where they are wanted `ff_context` and `attn2`.
  JointTransformerBlock(const Loader& loader, const JointTransformerOptions& options);

  /// `embedding[N, dim]` steers the norms, those of the picture's tokens only where there is no `picture`;
  /// `rotation` is for the S + L tokens, the prompt's first. The prompt's are empty behind a block that only
  /// looks at them.
  JointTokens operator()(const ops::Context& context, const JointTokens& x, const Tensor<float>& embedding,
                         const ops::RotaryTable* rotation = nullptr, const Steering* picture = nullptr) const;

 private:
  /// x with the attention's result, and then with the feed-forward's, each through its gate.
  Tensor<float> finished(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& attended,
                         const Tensor<float>& modulation, std::span<const std::int32_t> rows,
                         const FeedForward<T>& feed_forward, const Tensor<float>* second) const;

  AdaLayerNormZero<T> norm1_;
  std::optional<AdaLayerNormZero<T>> norm1_context_;       // of a block that goes on with the prompt
  std::optional<AdaLayerNormContinuous<T>> norm1_looked_;  // of one that does not
  JointAttention<T> attn_;
  std::optional<Attention<T>> attn2_;
  FeedForward<T> ff_;
  std::optional<FeedForward<T>> ff_context_;
};

/// Attention and feed-forward side by side, over all tokens with the same weights (Dehghani et al. 2023, sec.
/// 2; diffusers' FluxSingleTransformerBlock and HunyuanVideoSingleTransformerBlock).
template <class T>
class SingleTransformerBlock {
 public:
  struct Options {
    Index dim = 0;
    int num_attention_heads = 1;
    Index attention_head_dim = 64;
    Index mlp_dim = 0;  ///< width inside the feed-forward network; 0: 4 dim
    std::optional<QueryKeyNorm> qk_norm{};
  };
  /// Reads `norm`, `attn`, `proj_mlp` and `proj_out`.
  SingleTransformerBlock(const Loader& loader, const Options& options);

  /// `x[N, L, dim]` to the same shape; `rotation` for the L tokens.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, const Steering& steering,
                           const ops::RotaryTable* rotation = nullptr) const;

 private:
  static Index mlp_dim(const Options& options) {
    return options.mlp_dim != 0 ? options.mlp_dim : checked_multiply(options.dim, 4);
  }
  int heads_;
  Index head_dim_;
  std::shared_ptr<const ops::Engine> engine_;
  AdaLayerNormZeroSingle<T> norm_;
  QkvProjection<T> qkv_;
  Linear<T> proj_mlp_, proj_out_;
};

}  // namespace daguerre::nn
