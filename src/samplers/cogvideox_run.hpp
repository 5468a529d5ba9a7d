#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daguerre/samplers/ddim_cogvideox.hpp"

namespace daguerre::samplers {

/// alphas_cumprod of CogVideoX's schedule. Throws ConfigError; `who` speaks.
std::vector<double> cogvideox_alphas(const CogVideoXDdimConfig& config, const char* who);

/// What the runs of CogVideoX's samplers have in common: the schedule and its timesteps. A step goes to the
/// timestep that lies a fixed stride below, which need not be the next call's.
class CogVideoXRun : public SamplerRun {
 protected:
  CogVideoXRun(const char* who, const CogVideoXDdimConfig& config,
               std::shared_ptr<const std::vector<double>> alphas, const RunOptions& options);

  int timestep(Index i) const { return static_cast<int>(timesteps_[static_cast<std::size_t>(i)]); }
  /// Where step `i` goes; below 0 past the last one.
  int previous_timestep(Index i) const { return timestep(i) - stride_; }
  /// alphas_cumprod, and what stands for it past the last step.
  double alpha(int t) const;
  Mixture mixture(int t) const;
  /// x_0 as call `i` implies it.
  Tensor<float> original(const Tensor<float>& model_output, Index i, const Tensor<float>& sample) const {
    return predict_original(config_.prediction_type, model_output, sample, mixture(timestep(i)));
  }

 private:
  Tensor<float> noised(const Tensor<float>& clean, const Tensor<float>& noise, Index i) const override {
    return mix(clean, noise, mixture(timestep(i)));
  }

  CogVideoXDdimConfig config_;
  std::shared_ptr<const std::vector<double>> alphas_;
  int stride_;
};

}  // namespace daguerre::samplers
