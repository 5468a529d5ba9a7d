#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "daguerre/tensor/tensor.hpp"

namespace daguerre::samplers {

/// Draws standard normal noise of the given shape. A run calls it once for every step that adds noise, in
/// order.
using NoiseSource = std::function<Tensor<float>(const Shape&)>;

/// What may change from run to run; everything else belongs to the sampler's configuration.
struct RunOptions {
  int steps = 50;  ///< num_inference_steps
  /// Index of the first model call that will be made; above 0 for image to image.
  Index first_call = 0;
  double eta = 0.0;                                         ///< DDIM: 0 deterministic, 1 as noisy as DDPM
  bool use_clipped_model_output = false;                    ///< DDIM: recompute epsilon from the clipped x0
  double s_churn = 0.0;                                     ///< Euler: extra noise per step (EDM's S_churn)
  double s_tmin = 0.0;                                      ///< Euler: churn only above this sigma
  double s_tmax = std::numeric_limits<double>::infinity();  ///< Euler: churn only below this sigma
  double s_noise = 1.0;                                     ///< Euler: scale of the churned noise
};

/// One pass from noise to sample. Owns all state that changes between steps (multistep history, indices), so
/// that a Sampler can be shared between threads. Tensors are float32, any rank, the leading axis being the
/// batch and the last one the channels.
class SamplerRun {
 public:
  virtual ~SamplerRun() = default;

  /// The timestep of every model call, as it is given to the model (integers for most samplers).
  std::span<const float> timesteps() const noexcept { return timesteps_; }
  /// The noise levels, one more than there are model calls; empty for samplers that do not use them.
  std::span<const float> sigmas() const noexcept { return sigmas_; }
  /// Standard deviation of the pure noise a run starts from.
  virtual float init_noise_sigma() const { return 1.0f; }

  /// The model's input for call `i`: the sample itself, or scaled by 1/sqrt(sigma^2 + 1).
  virtual Tensor<float> scale_model_input(const Tensor<float>& sample, Index i) const;
  /// Takes the sample past call `i`, given the model's output for it. Calls must be made in order, from
  /// `first_call`. Throws ArgumentError for a wrong index or shapes that do not match.
  virtual Tensor<float> step(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                             const NoiseSource& noise) = 0;
  /// The noisy sample that call `i` expects, from a clean one: forward process at timestep `i`.
  virtual Tensor<float> add_noise(const Tensor<float>& original, const Tensor<float>& noise,
                                  Index i) const = 0;
  /// The clean sample as the last step estimated it, for previews; empty before the first step.
  const Tensor<float>& pred_original_sample() const noexcept { return pred_original_sample_; }

 protected:
  std::vector<float> timesteps_;
  std::vector<float> sigmas_;
  Tensor<float> pred_original_sample_;
};

/// A sampler's immutable configuration; `start` makes a run.
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Throws ArgumentError for a number of steps that is not possible.
  virtual std::unique_ptr<SamplerRun> start(const RunOptions& options) const = 0;
  /// The cumulative product of alphas, one for every training timestep.
  virtual std::span<const float> alphas_cumprod() const = 0;
  /// Model calls a step takes, as diffusers counts them for image to image (2 for second-order single-step
  /// methods).
  virtual int order() const { return 1; }
};

}  // namespace daguerre::samplers
