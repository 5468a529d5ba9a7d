#pragma once

#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/conditioning_embedding.hpp"

namespace daguerre::nn {

/// What steers all blocks of a transformer at once (Chen et al. 2023, sec. 2.3, adaLN-single; diffusers'
/// AdaLayerNormSingle): one modulation from the timestep, to which each block adds a table of its own.
template <class T>
class AdaLayerNormSingle {
 public:
  /// The parts of the modulation, in the order of its columns.
  enum Part { shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp, parts };

  /// Reads `emb` and `linear`.
  AdaLayerNormSingle(const Loader& loader, Index dim, bool embeds_size)
      : embedding_(loader.sub("emb"), dim, embeds_size), modulation_(loader.sub("linear"), dim, dim, parts) {}

  struct Output {
    Tensor<float> modulation;  ///< `[N, 6 dim]`
    Tensor<float> embedding;   ///< `[N, dim]`, for the last norm
  };
  /// Takes what TimestepSizeEmbedding takes, and throws what it throws.
  Output operator()(const ops::Context& context, Index batch, std::span<const float> timesteps,
                    std::span<const float> sizes, std::span<const float> aspect_ratios) const {
    auto embedding = embedding_(context, batch, timesteps, sizes, aspect_ratios);
    return {modulation_(context, embedding), embedding};
  }

 private:
  TimestepSizeEmbedding embedding_;
  Modulation<T> modulation_;
};

}  // namespace daguerre::nn
