#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "daguerre/nn/timestep.hpp"
#include "daguerre/ops/embedding.hpp"

/// What transformers are steered by beside their tokens: one vector for each image. In float32: it is tiny
/// and reaches every token.
namespace daguerre::nn {

/// The timestep's embedding plus the class's, `[N, dim]` (diffusers' CombinedTimestepLabelEmbeddings).
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

/// The timestep's embedding plus the pooled prompt's and, in models distilled from guidance, plus that of the
/// guidance scale, `[N, dim]` (diffusers' CombinedTimestepTextProjEmbeddings and
/// CombinedTimestepGuidanceTextProjEmbeddings, HunyuanVideoConditionEmbedding).
class TimestepTextEmbedding {
 public:
  struct Options {
    Index dim = 0;
    Index pooled_dim = 0;
    bool embeds_guidance = false;
  };
  /// Reads `timestep_embedder`, `text_embedder` and, where it is wanted, `guidance_embedder`, of each
  /// `linear_1` and `linear_2`.
  TimestepTextEmbedding(const Loader& loader, const Options& options);

  /// `pooled[N, pooled_dim]`; timesteps and guidance scales, as the sinusoid takes them: one for all, or one
  /// for each of the N. Throws ArgumentError for other numbers of them; there must be no scales where none
  /// are embedded.
  Tensor<float> operator()(const ops::Context& context, std::span<const float> timesteps,
                           std::span<const float> guidance, const Tensor<float>& pooled) const;
  /// The same without guidance, though it may be embedded: what steers frames that are given.
  Tensor<float> without_guidance(const ops::Context& context, std::span<const float> timesteps,
                                 const Tensor<float>& pooled) const;

 private:
  /// Throws ArgumentError.
  void check(std::span<const float> timesteps, const Tensor<float>& pooled) const;

  Options options_;
  TimestepEmbedding<float> timestep_embedder_, text_embedder_;
  std::optional<TimestepEmbedding<float>> guidance_embedder_;
};

/// The timestep's embedding, to which those of the picture's size and aspect ratio may be added, `[N, dim]`
/// (diffusers' PixArtAlphaCombinedTimestepSizeEmbeddings).
class TimestepSizeEmbedding {
 public:
  /// Reads `timestep_embedder` and, where sizes are embedded, `resolution_embedder` and
  /// `aspect_ratio_embedder`, each a third of `dim` wide. Throws ConfigError where 3 does not divide it then.
  TimestepSizeEmbedding(const Loader& loader, Index dim, bool embeds_size);

  /// `timesteps`: one for all of the `batch`, or one for each; `sizes`: height and width of each picture,
  /// `aspect_ratios`: one of each, both empty where they are not embedded. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, Index batch, std::span<const float> timesteps,
                           std::span<const float> sizes, std::span<const float> aspect_ratios) const;

 private:
  Index dim_;
  TimestepEmbedding<float> timestep_embedder_;
  std::optional<TimestepEmbedding<float>> resolution_embedder_, aspect_ratio_embedder_;
};

}  // namespace daguerre::nn
