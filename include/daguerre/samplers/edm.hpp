#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/dpm_solver.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"

/// The samplers of "Elucidating the Design Space of Diffusion-Based Generative Models" (EDM,
/// arXiv:2206.00364), for samples x_0 + sigma noise.
namespace daguerre::samplers {

/// How a network F is wrapped to give the denoiser D, table 1 and equation 7:
///   D(x; sigma) = c_skip x + c_out F(c_in x; c_noise).
struct EdmPreconditioning {
  float sigma_data = 0.5f;  ///< standard deviation of the data
  /// epsilon: the paper's; v_prediction: c_out has the other sign; sample: the model is D itself, called with
  /// x and sigma as they are.
  PredictionType prediction_type = PredictionType::epsilon;

  float c_in(float sigma) const;
  /// What the model is given as timestep.
  float c_noise(float sigma) const;
  /// D, given the model's output.
  Tensor<float> denoised(const Tensor<float>& x, const Tensor<float>& model_output, float sigma) const;
};

/// The noise levels of equation 5 and the wrapping of the network.
struct EdmConfig {
  double sigma_min = 0.002;
  double sigma_max = 80.0;
  double rho = 7.0;
  SigmaSpacing sigma_spacing = SigmaSpacing::karras;  ///< or exponential
  EdmPreconditioning preconditioning;
  int num_train_timesteps = 1000;  ///< the largest number of steps
  /// EdmEulerSampler's: sigma_min is its smallest level once more.
  FinalSigma final_sigma = FinalSigma::zero;
  /// EdmEulerSampler's Karras levels are in float32, as diffusers had them before 0.34.
  LevelForm level_form = LevelForm::float64;

  /// Reads an `EDMEulerScheduler` configuration. Throws ConfigError.
  static EdmConfig from(const daguerre::Config& config);
};

/// Euler's method with churn and EDM's levels and preconditioning. Agrees with diffusers' EDMEulerScheduler,
/// which calls the model before it adds noise, unlike the paper; see EdmSampler. Names as in EulerSampler;
/// the timestep given to the model is c_noise = log(sigma) / 4.
///
/// RunOptions::sigmas are not levels here but places between the ends, from 0 for sigma_max to 1 for
/// sigma_min, ascending, and with exponential levels count only by their number.
class EdmEulerSampler final : public Sampler {
 public:
  explicit EdmEulerSampler(const EdmConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;

 private:
  EdmConfig config_;
};

/// `method` gives the order and the form of the steps, `edm` levels and predictions; of `method` the
/// schedule, the spacings and the algorithms other than the `pp` ones have no meaning.
struct EdmDpmMultistepConfig {
  EdmConfig edm;
  DpmMultistepConfig method;

  /// Reads an `EDMDPMSolverMultistepScheduler` configuration. Throws ConfigError.
  static EdmDpmMultistepConfig from(const daguerre::Config& config);
};

/// DpmMultistepSampler's method for alpha_t = 1 with EDM's levels and preconditioning. Agrees with diffusers'
/// EDMDPMSolverMultistepScheduler.
class EdmDpmMultistepSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit EdmDpmMultistepSampler(const EdmDpmMultistepConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;

 private:
  EdmDpmMultistepConfig config_;
};

/// The paper's own stochastic sampler, algorithm 2: noise is added first, then comes a step of Heun's method
/// from there. Agrees with edm_sampler of the paper's code (NVlabs/edm, generate.py).
///
/// n steps take 2n - 1 model calls, two a step but for the last. In the code `sigma` is t_i, `sigma_hat`
/// t-hat_i, `derivative` d_i and d_i'. Uses RunOptions::s_churn, s_tmin, s_tmax and s_noise (S_churn, S_min,
/// S_max, S_noise). Noise is added by `perturb`, which draws at every step where it has a source, also when
/// it adds none, as the paper's code does.
class EdmSampler final : public Sampler {
 public:
  struct Config : EdmConfig {
    /// The model is the denoiser D itself unless the configuration says otherwise.
    Config() { preconditioning.prediction_type = PredictionType::sample; }
    /// Reads an `EDMSampler` configuration: sigma_min, sigma_max, rho, sigma_data and prediction_type. Throws
    /// ConfigError.
    static Config from(const daguerre::Config& config);
  };

  explicit EdmSampler(const Config& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  int order() const override { return 2; }

 private:
  Config config_;
};

}  // namespace daguerre::samplers
