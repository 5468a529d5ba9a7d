#include "daguerre/samplers/dpm_solver.hpp"
#include "samplers/dpm_solver_run.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* class_name = "DPMSolverMultistepScheduler";

class VariancePreservingRun final : public DpmMultistepRun {
 public:
  VariancePreservingRun(const DpmMultistepConfig& config, const NoiseSchedule& schedule,
                        const RunOptions& options)
      : DpmMultistepRun(class_name, config) {
    set_levels(schedule,
               !options.timesteps.empty()
                   ? options.timesteps
                   : spaced_timesteps({.spacing = config.timestep_spacing,
                                       .num_train_timesteps = schedule.num_train_timesteps(),
                                       .usable_timesteps = usable_timesteps(schedule),
                                       .steps = options.steps,
                                       .steps_offset = config.steps_offset,
                                       .drop_smallest = true}),
               config.sigma_spacing, config.final_sigma, config.sigma_min, config.sigma_max, options.steps);
    make_plan(options.first_call);
  }
};

}  // namespace

DpmMultistepConfig DpmMultistepConfig::from(const weights::Config& config) {
  DpmMultistepConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true});
  read_dpm_solver(config, true, result);
  result.timestep_spacing = read_timestep_spacing(config, result.timestep_spacing);
  result.steps_offset = config.get("steps_offset", result.steps_offset);
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  result.euler_at_final = config.get("euler_at_final", result.euler_at_final);
  return result;
}

DpmMultistepSampler::DpmMultistepSampler(const DpmMultistepConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_dpm_solver(class_name, config, true);
}

std::unique_ptr<SamplerRun> DpmMultistepSampler::start(const RunOptions& options) const {
  check_run(class_name, options, schedule_.num_train_timesteps(), {.timesteps = true});
  if (!options.timesteps.empty() && config_.sigma_spacing != SigmaSpacing::timesteps)
    throw ArgumentError(class_name, "custom timesteps do not go together with a spacing of sigmas");
  return std::make_unique<VariancePreservingRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers
