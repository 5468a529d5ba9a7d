#include "daguerre/samplers/registry.hpp"

#include <nlohmann/json.hpp>

#include "daguerre/samplers/consistency.hpp"
#include "daguerre/samplers/ddim.hpp"
#include "daguerre/samplers/ddim_cogvideox.hpp"
#include "daguerre/samplers/ddpm.hpp"
#include "daguerre/samplers/deis.hpp"
#include "daguerre/samplers/dpm_solver.hpp"
#include "daguerre/samplers/edm.hpp"
#include "daguerre/samplers/euler.hpp"
#include "daguerre/samplers/euler_ancestral.hpp"
#include "daguerre/samplers/flow_match.hpp"
#include "daguerre/samplers/heun.hpp"
#include "daguerre/samplers/ipndm.hpp"
#include "daguerre/samplers/kdpm2.hpp"
#include "daguerre/samplers/lms.hpp"
#include "daguerre/samplers/pndm.hpp"
#include "daguerre/samplers/unipc.hpp"

namespace daguerre::samplers {
namespace {

template <class SamplerType, class Config>
std::shared_ptr<const Sampler> make_sampler(const weights::Config& config) {
  return std::make_shared<const SamplerType>(Config::from(config));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// diffusers lists here the keys that a configuration got from its class's defaults; another class takes its
/// own defaults for them.
weights::Config without_default_values(const weights::Config& config) {
  if (!config.has("_use_default_values")) return config;
  return config.without(config.require_strings("_use_default_values"));
}

/// The keys of diffusers' scheduler classes. A configuration may hold those of a class it was changed from.
void leave_other_classes_keys(const weights::Config& config) {
  config.ignore({"algorithm_type",
                 "base_image_seq_len",
                 "base_shift",
                 "beta_end",
                 "beta_schedule",
                 "beta_start",
                 "clip_sample",
                 "clip_sample_range",
                 "correct_steps",
                 "corrector_order",
                 "denoise_to_zero",
                 "disable_corrector",
                 "dynamic_thresholding_ratio",
                 "euler_at_final",
                 "final_sigmas_type",
                 "interpolation_type",
                 "lambda_min_clipped",
                 "lower_order_final",
                 "max_image_seq_len",
                 "max_shift",
                 "noise_sampler_seed",
                 "num_train_timesteps",
                 "original_inference_steps",
                 "predict_epsilon",
                 "predict_x0",
                 "prediction_type",
                 "predictor_order",
                 "rescale_betas_zero_snr",
                 "rho",
                 "s_churn",
                 "s_max",
                 "s_min",
                 "s_noise",
                 "s_tmax",
                 "s_tmin",
                 "sample_max_value",
                 "sampling_eps",
                 "set_alpha_to_one",
                 "shift",
                 "sigma_data",
                 "sigma_max",
                 "sigma_min",
                 "sigma_schedule",
                 "skip_prk_steps",
                 "snr",
                 "snr_shift_scale",
                 "solver_order",
                 "solver_p",
                 "solver_type",
                 "steps_offset",
                 "tau_func",
                 "tensor_format",
                 "thresholding",
                 "timestep_scaling",
                 "timestep_spacing",
                 "timestep_type",
                 "timestep_values",
                 "trained_betas",
                 "use_beta_sigmas",
                 "use_dynamic_shifting",
                 "use_exponential_sigmas",
                 "use_karras_sigmas",
                 "use_lu_lambdas",
                 "variance_type"});
  // Later versions write these; anything but the default is a flow-matching schedule.
  config.expect("use_flow_sigmas", {"false"});
  config.ignore({"flow_shift"});
}

}  // namespace

SamplerRegistry SamplerRegistry::standard() {
  SamplerRegistry registry;
  registry.add("DDPMScheduler", make_sampler<DdpmSampler, DdpmConfig>);
  registry.add("DDIMScheduler", make_sampler<DdimSampler, DdimConfig>);
  registry.add("PNDMScheduler", make_sampler<PndmSampler, PndmConfig>);
  registry.add("EulerDiscreteScheduler", make_sampler<EulerSampler, EulerConfig>);
  registry.add("EulerAncestralDiscreteScheduler", make_sampler<EulerAncestralSampler, EulerAncestralConfig>);
  registry.add("DPMSolverMultistepScheduler", make_sampler<DpmMultistepSampler, DpmMultistepConfig>);
  registry.add("DPMSolverSinglestepScheduler", make_sampler<DpmSinglestepSampler, DpmSinglestepConfig>);
  registry.add("HeunDiscreteScheduler", make_sampler<HeunSampler, HeunConfig>);
  registry.add("KDPM2DiscreteScheduler", make_sampler<Kdpm2Sampler, Kdpm2Config>);
  registry.add("KDPM2AncestralDiscreteScheduler", make_sampler<Kdpm2Sampler, Kdpm2Config>);
  registry.add("LMSDiscreteScheduler", make_sampler<LmsSampler, LmsConfig>);
  registry.add("DEISMultistepScheduler", make_sampler<DeisSampler, DeisConfig>);
  registry.add("UniPCMultistepScheduler", make_sampler<UniPcSampler, UniPcConfig>);
  registry.add("IPNDMScheduler", make_sampler<IpndmSampler, IpndmConfig>);
  registry.add("LCMScheduler", make_sampler<LcmSampler, LcmConfig>);
  registry.add("TCDScheduler", make_sampler<TcdSampler, TcdConfig>);
  registry.add("CogVideoXDDIMScheduler", make_sampler<CogVideoXDdimSampler, CogVideoXDdimConfig>);
  registry.add("EDMEulerScheduler", make_sampler<EdmEulerSampler, EdmConfig>);
  registry.add("EDMDPMSolverMultistepScheduler", make_sampler<EdmDpmMultistepSampler, EdmDpmMultistepConfig>);
  registry.add("EDMSampler", make_sampler<EdmSampler, EdmSampler::Config>);
  registry.add("FlowMatchEulerDiscreteScheduler", make_sampler<FlowMatchEulerSampler, FlowMatchEulerConfig>);
  registry.add("FlowMatchHeunDiscreteScheduler",
               make_sampler<FlowMatchHeunSampler, FlowMatchHeunSampler::Config>);

  // A name fixes what it says, whatever the folder's configuration holds, and nothing else.
  struct Entry {
    const char* name;
    const char* class_name;
    const char* overrides;
  };
  constexpr Entry entries[] = {
      {"ddpm", "DDPMScheduler", "{}"},
      {"ddim", "DDIMScheduler", "{}"},
      {"pndm", "PNDMScheduler", "{}"},
      {"euler", "EulerDiscreteScheduler", R"({"use_karras_sigmas": false})"},
      {"euler-karras", "EulerDiscreteScheduler", R"({"use_karras_sigmas": true})"},
      {"euler-a", "EulerAncestralDiscreteScheduler", "{}"},
      {"dpm++2m", "DPMSolverMultistepScheduler",
       R"({"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": false})"},
      {"dpm++2m-karras", "DPMSolverMultistepScheduler",
       R"({"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": true})"},
      {"dpm++2m-sde", "DPMSolverMultistepScheduler",
       R"({"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "use_karras_sigmas": false})"},
      {"dpm++2m-sde-karras", "DPMSolverMultistepScheduler",
       R"({"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "use_karras_sigmas": true})"},
      {"dpm++3m", "DPMSolverMultistepScheduler",
       R"({"algorithm_type": "dpmsolver++", "solver_order": 3, "use_karras_sigmas": false})"},
      {"dpm++2s", "DPMSolverSinglestepScheduler",
       R"({"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": false})"},
      {"heun", "HeunDiscreteScheduler", R"({"use_karras_sigmas": false})"},
      {"heun-karras", "HeunDiscreteScheduler", R"({"use_karras_sigmas": true})"},
      {"kdpm2", "KDPM2DiscreteScheduler", R"({"use_karras_sigmas": false})"},
      {"kdpm2-karras", "KDPM2DiscreteScheduler", R"({"use_karras_sigmas": true})"},
      {"kdpm2-a", "KDPM2AncestralDiscreteScheduler", R"({"use_karras_sigmas": false})"},
      {"kdpm2-a-karras", "KDPM2AncestralDiscreteScheduler", R"({"use_karras_sigmas": true})"},
      {"lms", "LMSDiscreteScheduler", R"({"use_karras_sigmas": false})"},
      {"lms-karras", "LMSDiscreteScheduler", R"({"use_karras_sigmas": true})"},
      {"deis", "DEISMultistepScheduler", "{}"},
      {"unipc", "UniPCMultistepScheduler", R"({"use_karras_sigmas": false})"},
      {"unipc-karras", "UniPCMultistepScheduler", R"({"use_karras_sigmas": true})"},
      {"ipndm", "IPNDMScheduler", "{}"},
      {"lcm", "LCMScheduler", "{}"},
      {"tcd", "TCDScheduler", "{}"},
      {"edm-euler", "EDMEulerScheduler", "{}"},
      {"edm-dpm++2m", "EDMDPMSolverMultistepScheduler",
       R"({"algorithm_type": "dpmsolver++", "solver_order": 2})"},
      {"edm-dpm++2m-sde", "EDMDPMSolverMultistepScheduler",
       R"({"algorithm_type": "sde-dpmsolver++", "solver_order": 2})"},
      {"edm-heun", "EDMSampler", "{}"},
      {"flow-euler", "FlowMatchEulerDiscreteScheduler", "{}"},
      {"flow-heun", "FlowMatchHeunDiscreteScheduler", "{}"},
  };
  for (const auto& entry : entries) registry.add_name(entry.name, entry.class_name, entry.overrides);
  return registry;
}

void SamplerRegistry::add(std::string class_name, Factory factory) {
  classes_.insert_or_assign(std::move(class_name), std::move(factory));
}

void SamplerRegistry::add_name(std::string name, std::string class_name, std::string overrides) {
  names_.insert_or_assign(std::move(name), Named{std::move(class_name), std::move(overrides)});
}

std::shared_ptr<const Sampler> SamplerRegistry::make(const weights::Config& config) const {
  const auto found = classes_.find(config.class_name());
  if (found == classes_.end())
    throw ConfigError("samplers", config.source() + ": unknown scheduler class \"" + config.class_name() +
                                      "\"; known are " + joined(class_names()));
  const weights::Config effective = without_default_values(config);
  auto sampler = found->second(effective);
  leave_other_classes_keys(effective);
  effective.finish();
  return sampler;
}

std::shared_ptr<const Sampler> SamplerRegistry::make(std::string_view name,
                                                     const weights::Config& base) const {
  const auto found = names_.find(name);
  if (found == names_.end())
    throw ConfigError("samplers",
                      "unknown sampler \"" + std::string(name) + "\"; known are " + joined(names()));
  const nlohmann::json class_change{{"_class_name", found->second.class_name},
                                    {"_use_default_values", nullptr}};
  return make(without_default_values(base).with(found->second.overrides).with(class_change.dump()));
}

std::vector<std::string> SamplerRegistry::names() const {
  std::vector<std::string> result;
  for (const auto& [name, named] : names_) result.push_back(name);
  return result;
}

std::vector<std::string> SamplerRegistry::class_names() const {
  std::vector<std::string> result;
  for (const auto& [name, factory] : classes_) result.push_back(name);
  return result;
}

}  // namespace daguerre::samplers
