#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_config.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

/// Which of the caller's own tables a sampler can follow.
struct CustomTables {
  bool timesteps = false;
  bool sigmas = false;
  bool both = false;                         ///< together, for as many levels
  std::optional<int> largest_timestep = {};  ///< otherwise the last one of the training
};
/// Throws ArgumentError for a number of steps outside 1 to `num_train_timesteps`, tables that the sampler
/// cannot follow, and tables that are not descending or hold impossible values.
void check_run(std::string_view who, const RunOptions& options, int num_train_timesteps,
               CustomTables custom = {});

/// The part of a run that samplers over integer training timesteps share: samples are
/// sqrt(a_t) x_0 + sqrt(1 - a_t) noise with a_t = alphas_cumprod[t].
class DiscreteRun : public SamplerRun {
 protected:
  DiscreteRun(std::string name, NoiseSchedule schedule)
      : SamplerRun(std::move(name)), schedule_(std::move(schedule)) {}

  /// The usual timesteps of these samplers, descending, without the -1 that `trailing` may end in: diffusers
  /// reads the noisiest entry of its tables there, which spoils the sample.
  std::vector<double> evenly_spaced(TimestepSpacing spacing, int steps, int steps_offset) const;
  /// Fills the table of timesteps and sets the first call. Throws ArgumentError when a timestep was not
  /// trained or is pure noise, from which no epsilon prediction leads to a sample
  /// unless it is clipped.
  void prepare(std::span<const double> timesteps, Index first_call, PredictionType prediction_type,
               const OriginalLimits& limits = {});
  /// The timestep of call `i`.
  int timestep(Index i) const { return static_cast<int>(timesteps_[static_cast<std::size_t>(i)]); }
  /// alphas_cumprod[t]; `beyond` below timestep 0.
  float alpha_prod(int t, float beyond = 1.0f) const;
  /// The coefficients of the noisy sample at timestep t.
  Mixture mixture(int t) const;

  NoiseSchedule schedule_;

 private:
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const final;
};

/// The timesteps of samplers over noise levels, descending and rounded to float32 as the model gets them;
/// `linspace` leaves them fractional.
std::vector<double> sigma_timesteps(const NoiseSchedule& schedule, TimestepSpacing spacing, int steps,
                                    int steps_offset);

/// The timesteps of Heun's method: each twice but the first.
std::vector<float> repeat_later(std::span<const double> timesteps);

struct Levels {
  std::vector<double> timesteps, sigmas;
};
/// Timesteps and noise levels of one step each, without the final one; RunOptions::timesteps are followed.
/// Throws ArgumentError when these are given together with a spacing of sigmas.
Levels sigma_levels(std::string_view who, const NoiseSchedule& schedule, const SigmaSamplerConfig& config,
                    const RunOptions& options);
/// Replaces evenly spaced levels by the configuration's spacing between the same ends or those it names.
void space_sigmas(Levels& levels, const NoiseSchedule& schedule, const SigmaSamplerConfig& config, int steps);

/// Where an ancestral step goes without noise, and the standard deviation of the noise that then takes it to
/// level `to`: down^2 + up^2 = to^2.
struct AncestralSplit {
  float down, up;
};
AncestralSplit ancestral_split(float from, float to);

/// x + (x - x_0) / sigma (to - sigma): Euler's step from noise level `sigma` to level `to`.
Tensor<float> euler_step(const Tensor<float>& x, const Tensor<float>& original, float sigma, float to);

/// The part of a run that samplers over noise levels share: samples are x_0 + sigma noise, and the model sees
/// them divided by sqrt(sigma^2 + 1).
class SigmaRun : public SamplerRun {
 protected:
  using SamplerRun::SamplerRun;

  float sigma(Index i) const { return sigmas_[static_cast<std::size_t>(i)]; }
  /// Works out init_noise_sigma: the largest sigma, or with `leading` timesteps, which do not reach the end
  /// of the schedule, the standard deviation of a noisy sample there.
  void set_init_noise_sigma(bool leading);

  /// A sample after noise was added to it, and its level.
  struct Churned {
    Tensor<float> sample;
    float sigma_hat;
  };
  /// EDM (arXiv:2206.00364), algorithm 2, lines 4 to 6, for a run of `levels` noise levels above zero. Draws
  /// noise only where it adds some.
  Churned churn(const Tensor<float>& sample, float level, std::size_t levels, const RunOptions& options,
                const NoiseSource& noise) const;

 private:
  /// The level of the sample that call `i` expects.
  virtual float call_sigma(Index i) const { return sigma(i); }
  Tensor<float> scale(const Tensor<float>& sample, Index i) const override;
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const override;
};

/// Throws ArgumentError for a run of a method with two calls a step that begins at the second of them.
void check_two_stage_begin(std::string_view who, const RunOptions& options);

/// Heun's method, step by step: a prediction with the derivative at the beginning, then, from the same
/// sample, a step with the mean of that one and the derivative at the predicted point.
class HeunStages {
 public:
  Tensor<float> predict(const Tensor<float>& x, Tensor<float> derivative, float dt);
  Tensor<float> correct(const Tensor<float>& derivative);

 private:
  Tensor<float> x_, derivative_;
  float dt_ = 0.0f;
};

}  // namespace daguerre::samplers
