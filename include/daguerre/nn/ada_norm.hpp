#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daguerre/nn/linear.hpp"
#include "daguerre/ops/modulation.hpp"

namespace daguerre::nn {

/// What steers the norms and gates that tokens go through: one embedding for all of an image's, or one of
/// several for each (frames that are given are at another timestep than those to be made).
struct Steering {
  Tensor<float> embedding;           ///< `[R, dim]`; R is N where it is one for all tokens of an image
  std::vector<std::int32_t> rows{};  ///< otherwise which of them each of the tokens `[N, L]` reads
};

/// What norms and gates are steered by: `parts` vectors of `dim` for each image, side by side, from a linear
/// layer over an embedding (Peebles & Xie 2023, fig. 3).
template <class T>
class Modulation {
 public:
  /// Reads the linear layer at `loader` itself.
  Modulation(const Loader& loader, Index embedding_dim, Index dim, int parts)
      : linear_(loader, embedding_dim, checked_multiply(dim, parts)) {}

  /// linear(silu(embedding)), `[..., parts dim]` from `embedding[..., embedding_dim]`.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& embedding) const;

 private:
  Linear<T> linear_;
};

/// Layer normalisation whose shift and scale, and the gates and modulation of the block around it, come from
/// an embedding (adaLN-Zero; diffusers' AdaLayerNormZero). With a second modulation of the same normalised
/// tokens for another attention beside the first (diffusers' SD35AdaLayerNormZeroX).
template <class T>
class AdaLayerNormZero {
 public:
  /// The parts of the modulation, in the order of the linear layer's columns.
  enum Part {
    shift_msa,
    scale_msa,
    gate_msa,
    shift_mlp,
    scale_mlp,
    gate_mlp,
    shift_msa2,
    scale_msa2,
    gate_msa2
  };
  static constexpr int parts = 6, parts_with_second = 9;

  /// Reads `linear`.
  AdaLayerNormZero(const Loader& loader, Index dim, float epsilon = 1e-6f, bool has_second = false)
      : epsilon_(epsilon),
        modulation_(loader.sub("linear"), dim, dim, has_second ? parts_with_second : parts) {}

  /// `[..., 6 dim]` or, with a second, `[..., 9 dim]`, the parts side by side, from `embedding[..., dim]`.
  Tensor<float> modulation(const ops::Context& context, const Tensor<float>& embedding) const {
    return modulation_(context, embedding);
  }
  /// norm(x) * (1 + scale_msa) + shift_msa for `x[N, L, dim]`, rounded to T; `rows` as in `Steering`.
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& modulation,
                  std::span<const std::int32_t> rows = {}) const {
    return ops::modulated_layer_norm<T>(context, x, {modulation, scale_msa, rows},
                                        {modulation, shift_msa, rows}, epsilon_);
  }
  /// The same by the second modulation.
  Tensor<T> apply_second(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& modulation,
                         std::span<const std::int32_t> rows = {}) const {
    return ops::modulated_layer_norm<T>(context, x, {modulation, scale_msa2, rows},
                                        {modulation, shift_msa2, rows}, epsilon_);
  }

 private:
  float epsilon_;
  Modulation<T> modulation_;
};

/// The same with one gate and no feed-forward of its own (diffusers' AdaLayerNormZeroSingle).
template <class T>
class AdaLayerNormZeroSingle {
 public:
  enum Part { shift, scale, gate, parts };

  /// Reads `linear`.
  AdaLayerNormZeroSingle(const Loader& loader, Index dim, float epsilon = 1e-6f)
      : epsilon_(epsilon), modulation_(loader.sub("linear"), dim, dim, parts) {}

  /// `[..., 3 dim]` from `embedding[..., dim]`.
  Tensor<float> modulation(const ops::Context& context, const Tensor<float>& embedding) const {
    return modulation_(context, embedding);
  }
  /// norm(x) * (1 + scale) + shift for `x[N, L, dim]`, rounded to T; `rows` as in `Steering`.
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& modulation,
                  std::span<const std::int32_t> rows = {}) const {
    return ops::modulated_layer_norm<T>(context, x, {modulation, scale, rows}, {modulation, shift, rows},
                                        epsilon_);
  }

 private:
  float epsilon_;
  Modulation<T> modulation_;
};

/// Layer normalisation with scale and shift from an embedding, no gate (diffusers' AdaLayerNormContinuous
/// without parameters of the norm itself).
template <class T>
class AdaLayerNormContinuous {
 public:
  /// Reads `linear`, whose columns are the scale's, then the shift's.
  AdaLayerNormContinuous(const Loader& loader, Index dim, Index embedding_dim, float epsilon = 1e-6f)
      : epsilon_(epsilon), modulation_(loader.sub("linear"), embedding_dim, dim, 2) {}

  /// `x[N, L, dim]` to the same shape, rounded to T, by `embedding[N, embedding_dim]`.
  Tensor<T> operator()(const ops::Context& context, const Tensor<float>& x,
                       const Tensor<float>& embedding) const {
    const auto modulation = modulation_(context, embedding);
    return ops::modulated_layer_norm<T>(context, x, {modulation, 0}, {modulation, 1}, epsilon_);
  }

 private:
  float epsilon_;
  Modulation<T> modulation_;
};

}  // namespace daguerre::nn
