#include "daguerre/samplers/dpm_solver.hpp"
#include "samplers/dpm_solver_run.hpp"
#include "samplers/lambda_levels.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* dpm_multistep_name = "DPMSolverMultistepScheduler";

class VariancePreservingRun final : public DpmMultistepRun {
 public:
  VariancePreservingRun(const DpmMultistepConfig& config, const NoiseSchedule& schedule,
                        const RunOptions& options)
      : DpmMultistepRun(dpm_multistep_name, config) {
    auto timesteps = !options.timesteps.empty()
                         ? options.timesteps
                         : spaced_timesteps({.spacing = config.timestep_spacing,
                                             .num_train_timesteps = schedule.num_train_timesteps(),
                                             .usable_timesteps = usable_timesteps(schedule),
                                             .steps = options.steps,
                                             .steps_offset = config.steps_offset,
                                             .drop_smallest = true});
    set_tables(schedule, lambda_levels(dpm_multistep_name, schedule, config, std::move(timesteps), options,
                                       config.timesteps_down ? ToInteger::down : ToInteger::nearest));
    make_plan(options.first_call);
  }
};

}  // namespace

DpmMultistepConfig DpmMultistepConfig::from(const daguerre::Config& config) {
  DpmMultistepConfig result;
  read_dpm_solver(config, {.zero_snr = true}, true, result);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  result.euler_at_final = config.get("euler_at_final", result.euler_at_final);
  // The betas may be given; the reference looks at the name all the same.
  result.timesteps_down =
      config.optional_string("beta_schedule") == "squaredcos_cap_v2" && !written_before(config, {0, 33});
  return result;
}

DpmMultistepSampler::DpmMultistepSampler(const DpmMultistepConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_dpm_solver(dpm_multistep_name, config, true);
}

std::unique_ptr<SamplerRun> DpmMultistepSampler::start(const RunOptions& options) const {
  check_run(dpm_multistep_name, options, schedule_.num_train_timesteps(), {.timesteps = true});
  return std::make_unique<VariancePreservingRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers
