#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

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

  NoiseSchedule schedule_;

 private:
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const final;
};

/// The timesteps of samplers over noise levels, descending and rounded to float32 as the model gets them;
/// `linspace` leaves them fractional.
std::vector<double> sigma_timesteps(const NoiseSchedule& schedule, TimestepSpacing spacing, int steps,
                                    int steps_offset);

/// The part of a run that samplers over noise levels share: samples are x_0 + sigma noise, and the model sees
/// them divided by sqrt(sigma^2 + 1).
class SigmaRun : public SamplerRun {
 protected:
  using SamplerRun::SamplerRun;

  float sigma(Index i) const { return sigmas_[static_cast<std::size_t>(i)]; }
  /// Works out init_noise_sigma: the largest sigma, or with `leading` timesteps, which do not reach the end
  /// of the schedule, the standard deviation of a noisy sample there.
  void set_init_noise_sigma(bool leading);

 private:
  Tensor<float> scale(const Tensor<float>& sample, Index i) const final;
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const final;
};

}  // namespace daguerre::samplers
