#pragma once

#include <optional>
#include <span>

#include "daguerre/nn/timestep.hpp"
#include "daguerre/ops/embedding.hpp"

/// What U-Nets make of the time and of a class. In float32: tiny, and all blocks read it.
namespace daguerre::models {

struct TimeProjectionOptions {
  enum class Kind {
    positional,  ///< ops::timestep_embedding
    fourier,  ///< sines and cosines at frequencies that the file holds (diffusers' GaussianFourierProjection)
    learned,  ///< a row of a table for each timestep
  };
  Kind kind = Kind::positional;
  Index width = 0;  ///< of the result
  ops::TimestepEmbeddingOptions sinusoid{};
  bool of_logarithm = false;  ///< fourier: the logarithm of the time is embedded
  Index rows = 0;             ///< learned: timesteps are 0 .. rows - 1
};

/// Times to vectors, `[N]` to `[N, width]`.
class TimeProjection {
 public:
  /// Reads `weight`, but for positional ones.
  TimeProjection(const nn::Loader& loader, const TimeProjectionOptions& options);
  /// Throws ArgumentError for a timestep that a learned table does not have.
  Tensor<float> operator()(const ops::Context& context, std::span<const float> times) const;

 private:
  TimeProjectionOptions options_;
  Tensor<float> weight_;
};

struct ClassEmbeddingOptions {
  enum class Kind {
    none,
    table,              ///< a row for each class
    timestep,           ///< a number, embedded as the time is
    identity,           ///< a vector, taken as it is
    projection,         ///< a vector through a perceptron
    simple_projection,  ///< a vector through a linear layer
  };
  Kind kind = Kind::none;
  Index rows = 0;                                      ///< table: classes are 0 .. rows - 1
  Index input_width = 0;                               ///< of what goes into a perceptron or a layer
  Index width = 0;                                     ///< of the result
  ops::Activation activation = ops::Activation::silu;  ///< timestep: of its perceptron
};

/// Classes, or what stands in their place, to vectors, `[N, width]`.
class ClassEmbedding {
 public:
  ClassEmbedding(const nn::Loader& loader, const ClassEmbeddingOptions& options);
  bool is_none() const noexcept { return options_.kind == ClassEmbeddingOptions::Kind::none; }

  /// `labels` is `[batch]`, ids or numbers, or `[batch, W]` where vectors are expected; empty where the model
  /// takes none. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& labels, Index batch,
                           const TimeProjection& time) const;

 private:
  ClassEmbeddingOptions options_;
  Tensor<float> table_;
  std::optional<nn::TimestepEmbedding<float>> perceptron_;
  std::optional<nn::Linear<float>> linear_;
};

/// The embedding of one time for all of a batch, or of one for each. Throws ArgumentError for another number.
Tensor<float> embedded_time(const ops::Context& context, const TimeProjection& projection,
                            const nn::TimestepEmbedding<float>& embedding, std::span<const float> timesteps,
                            Index batch, const Tensor<float>* condition = nullptr);

}  // namespace daguerre::models
