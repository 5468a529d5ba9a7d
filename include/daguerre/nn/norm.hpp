#pragma once

#include "daguerre/nn/loader.hpp"
#include "daguerre/ops/norm.hpp"

namespace daguerre::nn {

/// Group normalisation with its scale and shift, and the activation that follows it; see ops::group_norm.
class GroupNorm {
 public:
  /// Reads `weight[channels]` and `bias[channels]`. Throws ConfigError when `groups` does not divide
  /// `channels`.
  GroupNorm(const Loader& loader, Index channels, int groups, float epsilon,
            ops::Activation activation = ops::Activation::none);

  /// `[N, ..., C]`, float32 or rounded, to the same shape, rounded to T.
  template <class T, class From>
  Tensor<T> apply(const ops::Context& context, const Tensor<From>& x,
                  const ops::GroupNormExtras& extras = {}) const {
    return ops::group_norm<T>(context, x, gamma_, beta_, groups_, epsilon_, activation_, extras);
  }
  /// Those of a picture or film that has come apart, for `extras.statistics`; see ops::group_statistics.
  std::vector<ops::NormStatistics::Group> statistics(const ops::Context& context,
                                                     std::span<const Tensor<float>> parts) const {
    return ops::group_statistics(context, parts, groups_);
  }

 private:
  Tensor<float> gamma_, beta_;
  int groups_;
  float epsilon_;
  ops::Activation activation_;
};

/// Layer normalisation of `[..., C]` with its scale and shift; see ops::layer_norm.
class LayerNorm {
 public:
  /// Reads `weight[channels]` and `bias[channels]`.
  LayerNorm(const Loader& loader, Index channels, float epsilon)
      : gamma_(loader.tensor("weight", {channels})),
        beta_(loader.tensor("bias", {channels})),
        epsilon_(epsilon) {}

  /// Rounded to T.
  template <class T>
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x) const {
    return ops::layer_norm<T>(context, x, gamma_, beta_, epsilon_);
  }

 private:
  Tensor<float> gamma_, beta_;
  float epsilon_;
};

/// Root-mean-square normalisation of `[..., C]` with its scale, and the activation that follows it; see
/// ops::rms_norm.
class RmsNorm {
 public:
  /// Reads `weight[channels]`.
  RmsNorm(const Loader& loader, Index channels, float epsilon)
      : RmsNorm(loader.tensor("weight", {channels}), epsilon) {}
  /// With the scale `gamma[channels]`.
  RmsNorm(Tensor<float> gamma, float epsilon, ops::Activation activation = ops::Activation::none)
      : gamma_(std::move(gamma)), epsilon_(epsilon), activation_(activation) {}

  /// Rounded to T.
  template <class T>
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x) const {
    return ops::rms_norm<T>(context, x, gamma_, epsilon_, activation_);
  }

 private:
  Tensor<float> gamma_;
  float epsilon_;
  ops::Activation activation_;
};

}  // namespace daguerre::nn
