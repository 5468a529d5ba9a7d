#pragma once

#include <cstdint>
#include <span>

#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/timestep.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/modulation.hpp"

namespace daguerre::nn {

/// What a class-conditional transformer is steered by: the timestep's embedding plus the class's, `[N, dim]`
/// (diffusers' CombinedTimestepLabelEmbeddings). In float32: it is tiny and reaches every token.
class TimestepLabelEmbedding {
 public:
  struct Options {
    Index dim = 0;
    Index labels = 0;  ///< rows of the table; the null class of guidance is one of them
    ops::TimestepEmbeddingOptions timestep;
  };
  /// Reads `timestep_embedder.linear_1`, `timestep_embedder.linear_2` and `class_embedder.embedding_table`.
  TimestepLabelEmbedding(const Loader& loader, const Options& options);

  /// One timestep for all, or one for each of the N labels. Throws ArgumentError for another number of
  /// timesteps and for labels outside of the table.
  Tensor<float> operator()(const ops::Context& context, std::span<const float> timesteps,
                           std::span<const std::int32_t> class_labels) const;

  /// Whether the weights below both loaders are the same numbers, so that one embedding serves both.
  static bool same_weights(const Loader& a, const Loader& b, const Options& options);

 private:
  Options options_;
  TimestepEmbedding<float> timestep_embedder_;
  Tensor<float> embedding_table_;
};

/// Layer normalisation whose shift and scale, and the gates and modulation of the block around it, come from
/// a linear layer over the embedding (Peebles & Xie 2023, fig. 3, adaLN-Zero; diffusers' AdaLayerNormZero).
template <class T>
class AdaLayerNormZero {
 public:
  /// The parts of the modulation, in the order of the linear layer's columns.
  enum Part { shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp, parts };

  /// Reads `linear`.
  AdaLayerNormZero(const Loader& loader, Index dim, float epsilon = 1e-6f)
      : epsilon_(epsilon), linear_(loader.sub("linear"), dim, parts * dim) {}

  /// `[N, 6 dim]`, the parts side by side, from `embedding[N, dim]`.
  Tensor<float> modulation(const ops::Context& context, const Tensor<float>& embedding) const;
  /// norm(x) * (1 + scale_msa) + shift_msa for `x[N, L, dim]`, rounded to T.
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x,
                  const Tensor<float>& modulation) const {
    return ops::modulated_layer_norm<T>(context, x, {modulation, scale_msa}, {modulation, shift_msa},
                                        epsilon_);
  }

 private:
  float epsilon_;
  Linear<T> linear_;
};

}  // namespace daguerre::nn
