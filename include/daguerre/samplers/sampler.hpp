#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::samplers {

/// Draws standard normal noise of the given shape. A run calls it once for every step that adds noise, in
/// order.
using NoiseSource = std::function<Tensor<float>(const Shape&)>;

/// What may change from run to run; everything else belongs to the sampler's configuration. A sampler takes
/// what it knows and leaves the rest alone.
struct RunOptions {
  int steps = 50;  ///< num_inference_steps; not used where custom timesteps or sigmas are given
  /// Index of the first model call that will be made; above 0 for image to image.
  Index first_call = 0;
  double eta = 0.0;  ///< DDIM: 0 deterministic, 1 as noisy as DDPM; TCD: its gamma, likewise from 0 to 1
  bool use_clipped_model_output = false;  ///< DDIM: recompute epsilon from the clipped x0
  double s_churn = 0.0;                   ///< Euler, EDM: extra noise per run (EDM's S_churn)
  double s_tmin = 0.0;                    ///< Euler, EDM: churn only above this sigma
  double s_tmax = std::numeric_limits<double>::infinity();  ///< Euler, EDM: churn only below this sigma
  double s_noise = 1.0;                                     ///< Euler, EDM: scale of the churned noise
  /// The training timesteps to use, descending, instead of evenly spaced ones. For DDPM, Euler, Heun,
  /// DPM-Solver, LCM, TCD and Euler's method of flow matching (from num_train_timesteps, before the shift);
  /// the others refuse them.
  std::vector<double> timesteps = {};
  /// The noise levels to use, descending. For Euler's method of flow matching and UniPC over flow levels
  /// (before the shift, without the final zero) and Euler (with the level of the finished sample at the end);
  /// the others refuse them.
  std::vector<double> sigmas = {};
  /// Flow levels with dynamic shifting: the shift is exp(mu). See FlowMatchEulerConfig::mu.
  std::optional<double> mu = std::nullopt;
  /// LCM: the number of timesteps of the distillation, in the place of the configuration's. TCD: if given at
  /// all, every training timestep is one of them.
  std::optional<int> original_inference_steps = std::nullopt;
  /// LCM, TCD: how many of the distillation's timesteps are used, from the end, above 0 to 1.
  double strength = 1.0;
};

/// One pass from noise to sample. Owns all state that changes between steps (multistep history, indices), so
/// that a Sampler can be shared between threads; a run itself belongs to one thread. Tensors are float32, any
/// rank from 1, the leading axis being the batch and the last one the channels. Samples of a batch do not
/// influence each other.
class SamplerRun {
 public:
  virtual ~SamplerRun() = default;
  SamplerRun(const SamplerRun&) = delete;
  SamplerRun& operator=(const SamplerRun&) = delete;

  /// The timestep of every model call, as it is given to the model (integers for most samplers).
  std::span<const float> timesteps() const noexcept { return timesteps_; }
  /// The noise levels, at least one more than there are model calls; empty for samplers that do not use them.
  std::span<const float> sigmas() const noexcept { return sigmas_; }
  /// Number of model calls of a whole run.
  Index calls() const noexcept { return static_cast<Index>(timesteps_.size()); }
  /// Standard deviation of the pure noise a run starts from.
  float init_noise_sigma() const noexcept { return init_noise_sigma_; }
  /// Whether `step` takes twice the sample's channels, the second half being about the variance.
  bool takes_variance() const noexcept { return learned_variance_; }

  /// The sample that call `i` is made at: `sample` with the noise that the method adds before it calls the
  /// model (EDM's stochastic sampler), for all other methods `sample` itself. To be called before
  /// scale_model_input, whose argument and `step`'s is the result. Throws ArgumentError for a wrong index or
  /// missing noise.
  Tensor<float> perturb(const Tensor<float>& sample, Index i, const NoiseSource& noise = {});
  /// The model's input for call `i`: the sample itself (sharing its elements), or scaled by
  /// 1/sqrt(sigma^2 + sigma_data^2). Throws ArgumentError for an index out of range.
  Tensor<float> scale_model_input(const Tensor<float>& sample, Index i) const;
  /// Takes the sample past call `i`, given the model's output for it (same shape; twice the channels where
  /// the model predicts a variance too). Calls must be made in order, from `first_call`. `noise` may be empty
  /// for samplers that draw none. Throws ArgumentError for a wrong index, shapes that do not match, or
  /// missing noise; the run is then unchanged.
  Tensor<float> step(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                     const NoiseSource& noise = {});
  /// The noisy sample that call `i` expects, from a clean one: forward process at timestep `i`. Throws
  /// ArgumentError for an index out of range or shapes that differ.
  Tensor<float> add_noise(const Tensor<float>& original, const Tensor<float>& noise, Index i) const;
  /// The clean sample as the last step estimated it, for previews; empty before the first step.
  const Tensor<float>& pred_original_sample() const noexcept { return pred_original_sample_; }

 protected:
  /// `name` speaks in error messages. Derived constructors fill the tables below, then call `begin`.
  explicit SamplerRun(std::string name) : name_(std::move(name)) {}
  /// Sets the first call. Throws ArgumentError when the tables have no such call.
  void begin(Index first_call);

  const std::string& name() const noexcept { return name_; }
  /// Draws noise and checks what comes.
  Tensor<float> draw(const NoiseSource& noise, const Shape& shape) const;

  std::vector<float> timesteps_;
  std::vector<float> sigmas_;
  float init_noise_sigma_ = 1.0f;
  /// The model may give twice the channels, the second half being about the variance.
  bool learned_variance_ = false;
  Tensor<float> pred_original_sample_;

 private:
  virtual Tensor<float> perturbed(const Tensor<float>& sample, Index i, const NoiseSource& noise);
  virtual Tensor<float> scale(const Tensor<float>& sample, Index i) const;
  virtual Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                                const NoiseSource& noise) = 0;
  virtual Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const = 0;

  void check_index(const char* function, Index i) const;
  void check_next(const char* function, Index i) const;

  std::string name_;
  Index next_call_ = 0;
};

/// A sampler's immutable configuration; `start` makes a run. Safe to share between threads.
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Throws ArgumentError for a number of steps that is not possible, or for which the method divides by zero
  /// (the reference implementation gives NaN there).
  virtual std::unique_ptr<SamplerRun> start(const RunOptions& options) const = 0;
  /// The cumulative product of alphas, one for every training timestep; empty for methods that have none.
  virtual std::span<const float> alphas_cumprod() const { return {}; }
  /// RunOptions::mu for a picture of as many tokens, where the noise levels depend on that; else nullopt.
  virtual std::optional<double> mu(Index image_seq_len) const {
    (void)image_seq_len;
    return std::nullopt;
  }
  /// Whether it follows RunOptions::sigmas from 1 down, as flow matching's first method does.
  virtual bool follows_flow_sigmas() const { return false; }
  /// Model calls a step takes, as diffusers counts them for image to image (2 for second-order single-step
  /// methods). A run of such a method begins at a multiple of it.
  virtual int order() const { return 1; }
};

}  // namespace daguerre::samplers
