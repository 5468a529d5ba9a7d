#include "daguerre/samplers/registry.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "daguerre/samplers/consistency.hpp"
#include "daguerre/samplers/ddim.hpp"
#include "daguerre/samplers/ddim_cogvideox.hpp"
#include "daguerre/samplers/ddpm.hpp"
#include "daguerre/samplers/deis.hpp"
#include "daguerre/samplers/dpm_cogvideox.hpp"
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
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {
namespace {

template <class SamplerType, class Config>
std::shared_ptr<const Sampler> make_sampler(const daguerre::Config& config) {
  return std::make_shared<const SamplerType>(Config::from(config));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// diffusers lists here the keys that a configuration got from its class's defaults; another class takes its
/// own defaults for them.
daguerre::Config without_default_values(const daguerre::Config& config) {
  if (!config.has("_use_default_values")) return config;
  return config.without(config.require_strings("_use_default_values"));
}

/// The name without the prefix of diffusers' classes for JAX, whose configurations say the same.
std::string_view plain_name(std::string_view class_name) {
  constexpr std::string_view prefix = "Flax";
  return class_name.starts_with(prefix) ? class_name.substr(prefix.size()) : class_name;
}

/// What a name sets where its class knows several spacings of noise levels: one of them, whatever the folder
/// has. Flow levels belong to the model and stay.
constexpr const char* timestep_levels =
    R"({"use_karras_sigmas": false, "use_exponential_sigmas": false, "use_beta_sigmas": false,
        "use_lu_lambdas": false})";
constexpr const char* karras_levels =
    R"({"use_karras_sigmas": true, "use_exponential_sigmas": false, "use_beta_sigmas": false,
        "use_lu_lambdas": false})";
constexpr const char* any_levels = "{}";

/// What a name means for a model of flow matching: the methods that exist for it.
struct FlowMethod {
  std::string_view class_name, flow_class;
  std::string_view overrides;
};
constexpr std::string_view over_flow_levels =
    R"({"use_flow_sigmas": true, "prediction_type": "flow_prediction"})";
constexpr std::array<FlowMethod, 8> flow_methods{
    {{"EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", "{}"},
     {"FlowMatchEulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", "{}"},
     {"HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "{}"},
     {"FlowMatchHeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "{}"},
     {"DPMSolverMultistepScheduler", "DPMSolverMultistepScheduler", over_flow_levels},
     {"DPMSolverSinglestepScheduler", "DPMSolverSinglestepScheduler", over_flow_levels},
     {"UniPCMultistepScheduler", "UniPCMultistepScheduler", over_flow_levels},
     {"DEISMultistepScheduler", "DEISMultistepScheduler", over_flow_levels}}};

/// Classes that know no flow levels.
constexpr std::array<std::string_view, 16> only_for_noise{"DDPMScheduler",
                                                          "DDIMScheduler",
                                                          "PNDMScheduler",
                                                          "EulerAncestralDiscreteScheduler",
                                                          "KDPM2DiscreteScheduler",
                                                          "KDPM2AncestralDiscreteScheduler",
                                                          "LMSDiscreteScheduler",
                                                          "IPNDMScheduler",
                                                          "LCMScheduler",
                                                          "TCDScheduler",
                                                          "CogVideoXDDIMScheduler",
                                                          "CogVideoXDPMScheduler",
                                                          "EDMEulerScheduler",
                                                          "EDMDPMSolverMultistepScheduler",
                                                          "EDMSampler",
                                                          "DDPMParallelScheduler"};

/// Whether a name means something for noise alone: a class that knows no flow levels, or Karras' levels,
/// whose ends no model of flow matching says.
bool is_only_for_noise(std::string_view class_name, std::string_view overrides) {
  return std::find(only_for_noise.begin(), only_for_noise.end(), class_name) != only_for_noise.end() ||
         nlohmann::json::parse(overrides).value("use_karras_sigmas", false);
}

const FlowMethod* flow_method(std::string_view class_name) {
  const auto found = std::find_if(flow_methods.begin(), flow_methods.end(),
                                  [&](const FlowMethod& method) { return method.class_name == class_name; });
  return found == flow_methods.end() ? nullptr : &*found;
}

/// Whether a model's configuration says that it was trained for flow matching.
bool is_flow(const daguerre::Config& base) {
  return plain_name(base.class_name()).starts_with("FlowMatch") || base.get("use_flow_sigmas", false) ||
         base.get("prediction_type", "") == "flow_prediction";
}

/// `base` for a method that was made for other levels; those of flow matching keep their shift.
daguerre::Config with_flow_levels(const daguerre::Config& base, const FlowMethod& method) {
  auto changes = nlohmann::json::parse(method.overrides);
  // Two names of one thing.
  if (base.has("shift") && !base.has("flow_shift")) changes["flow_shift"] = base.get("shift", 1.0);
  if (base.has("flow_shift") && !base.has("shift")) changes["shift"] = base.get("flow_shift", 1.0);
  changes["_class_name"] = method.flow_class;
  return base.with(changes.dump());
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
  registry.add("CogVideoXDPMScheduler", make_sampler<CogVideoXDpmSampler, CogVideoXDpmSampler::Config>);
  registry.add("EDMEulerScheduler", make_sampler<EdmEulerSampler, EdmConfig>);
  registry.add("EDMDPMSolverMultistepScheduler", make_sampler<EdmDpmMultistepSampler, EdmDpmMultistepConfig>);
  registry.add("EDMSampler", make_sampler<EdmSampler, EdmSampler::Config>);
  registry.add("FlowMatchEulerDiscreteScheduler", make_sampler<FlowMatchEulerSampler, FlowMatchEulerConfig>);
  registry.add("FlowMatchHeunDiscreteScheduler",
               make_sampler<FlowMatchHeunSampler, FlowMatchHeunSampler::Config>);

  // The same steps, made for several of them at once.
  registry.add("DDPMParallelScheduler", make_sampler<DdpmSampler, DdpmConfig>);
  registry.add("DDIMParallelScheduler", make_sampler<DdimSampler, DdimConfig>);

  // A name fixes what it says, whatever the folder's configuration holds, and nothing else.
  struct Entry {
    const char* name;
    const char* class_name;
    const char* levels;
    const char* overrides;
  };
  constexpr const char* none = "{}";
  constexpr const char* dpm_pp_2 = R"({"algorithm_type": "dpmsolver++", "solver_order": 2})";
  constexpr const char* dpm_pp_3 = R"({"algorithm_type": "dpmsolver++", "solver_order": 3})";
  constexpr const char* sde_2 = R"({"algorithm_type": "sde-dpmsolver++", "solver_order": 2})";
  constexpr Entry entries[] = {
      {"ddpm", "DDPMScheduler", any_levels, none},
      {"ddim", "DDIMScheduler", any_levels, none},
      {"pndm", "PNDMScheduler", any_levels, none},
      {"euler", "EulerDiscreteScheduler", timestep_levels, none},
      {"euler-karras", "EulerDiscreteScheduler", karras_levels, none},
      {"euler-a", "EulerAncestralDiscreteScheduler", any_levels, none},
      {"dpm++2m", "DPMSolverMultistepScheduler", timestep_levels, dpm_pp_2},
      {"dpm++2m-karras", "DPMSolverMultistepScheduler", karras_levels, dpm_pp_2},
      {"dpm++2m-sde", "DPMSolverMultistepScheduler", timestep_levels, sde_2},
      {"dpm++2m-sde-karras", "DPMSolverMultistepScheduler", karras_levels, sde_2},
      {"dpm++3m", "DPMSolverMultistepScheduler", timestep_levels, dpm_pp_3},
      {"dpm++2s", "DPMSolverSinglestepScheduler", timestep_levels, dpm_pp_2},
      {"heun", "HeunDiscreteScheduler", timestep_levels, none},
      {"heun-karras", "HeunDiscreteScheduler", karras_levels, none},
      {"kdpm2", "KDPM2DiscreteScheduler", timestep_levels, none},
      {"kdpm2-karras", "KDPM2DiscreteScheduler", karras_levels, none},
      {"kdpm2-a", "KDPM2AncestralDiscreteScheduler", timestep_levels, none},
      {"kdpm2-a-karras", "KDPM2AncestralDiscreteScheduler", karras_levels, none},
      {"lms", "LMSDiscreteScheduler", timestep_levels, none},
      {"lms-karras", "LMSDiscreteScheduler", karras_levels, none},
      {"deis", "DEISMultistepScheduler", any_levels, none},
      {"unipc", "UniPCMultistepScheduler", timestep_levels, none},
      {"unipc-karras", "UniPCMultistepScheduler", karras_levels, none},
      {"ipndm", "IPNDMScheduler", any_levels, none},
      {"lcm", "LCMScheduler", any_levels, none},
      {"tcd", "TCDScheduler", any_levels, none},
      {"edm-euler", "EDMEulerScheduler", any_levels, none},
      {"edm-dpm++2m", "EDMDPMSolverMultistepScheduler", any_levels, dpm_pp_2},
      {"edm-dpm++2m-sde", "EDMDPMSolverMultistepScheduler", any_levels, sde_2},
      {"edm-heun", "EDMSampler", any_levels, none},
      {"flow-euler", "FlowMatchEulerDiscreteScheduler", any_levels, none},
      {"flow-heun", "FlowMatchHeunDiscreteScheduler", any_levels, none},
  };
  for (const auto& [name, class_name, levels, overrides] : entries) {
    auto fixed = nlohmann::json::parse(levels);
    fixed.update(nlohmann::json::parse(overrides));
    registry.add_name(name, class_name, fixed.dump());
  }
  return registry;
}

void SamplerRegistry::add(std::string class_name, Factory factory) {
  classes_.insert_or_assign(std::move(class_name), std::move(factory));
}

void SamplerRegistry::add_name(std::string name, std::string class_name, std::string overrides) {
  names_.insert_or_assign(std::move(name), Named{std::move(class_name), std::move(overrides)});
}

std::shared_ptr<const Sampler> SamplerRegistry::make(const daguerre::Config& config) const {
  const auto found = classes_.find(plain_name(config.class_name()));
  if (found == classes_.end())
    throw ConfigError("samplers", config.source() + ": unknown scheduler class \"" + config.class_name() +
                                      "\"; known are " + joined(class_names()));
  const daguerre::Config effective = without_default_values(config);
  auto sampler = found->second(effective);
  allow_scheduler_keys(effective);
  effective.finish();
  return sampler;
}

std::shared_ptr<const Sampler> SamplerRegistry::make(std::string_view name,
                                                     const daguerre::Config& base) const {
  const auto found = names_.find(name);
  if (found == names_.end())
    throw ConfigError("samplers",
                      "unknown sampler \"" + std::string(name) + "\"; known are " + joined(names()));
  const auto& [class_name, overrides] = found->second;
  const auto plain = without_default_values(base).without({"_use_default_values"}).with(overrides);
  if (is_flow(base)) {
    if (is_only_for_noise(class_name, overrides))
      throw ConfigError("samplers",
                        base.source() + ": the model was trained for flow matching, for which \"" +
                            std::string(name) + "\" is no sampler; there are " + joined(names_for(base)));
    if (const auto* method = flow_method(class_name)) return make(with_flow_levels(plain, *method));
  }
  const nlohmann::json class_change{{"_class_name", class_name}};
  return make(plain.with(class_change.dump()));
}

bool SamplerRegistry::knows_class(std::string_view class_name) const {
  return classes_.find(plain_name(class_name)) != classes_.end();
}

std::vector<std::string> SamplerRegistry::names() const {
  std::vector<std::string> result;
  for (const auto& [name, named] : names_) result.push_back(name);
  return result;
}

std::vector<std::string> SamplerRegistry::names_for(const daguerre::Config& base) const {
  const bool flow = is_flow(base);
  std::vector<std::string> result;
  for (const auto& [name, named] : names_)
    if (!flow || !is_only_for_noise(named.class_name, named.overrides)) result.push_back(name);
  return result;
}

std::vector<std::string> SamplerRegistry::class_names() const {
  std::vector<std::string> result;
  for (const auto& [name, factory] : classes_) result.push_back(name);
  return result;
}

}  // namespace daguerre::samplers
