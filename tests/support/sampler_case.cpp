#include "support/sampler_case.hpp"

#include <cmath>
#include <iomanip>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "daguerre/samplers/ddpm.hpp"
#include "daguerre/samplers/objective.hpp"

namespace daguerre::test {
namespace {

using samplers::RunOptions;
using samplers::Sampler;
using samplers::SamplerRun;
using weights::SafetensorsFile;

Tensor<float> table(std::span<const float> values) {
  return Tensor<float>::copy_of({static_cast<Index>(values.size())}, values);
}

/// The arguments that diffusers' set_timesteps and step functions got; nullopt for one that is not known
/// here.
std::optional<RunOptions> run_options(const Config& call) {
  RunOptions options;
  const Config tables = Config::parse(call.json("set_timesteps_kwargs").value_or("{}"), call.source());
  options.timesteps = tables.doubles("timesteps");
  options.sigmas = tables.doubles("sigmas");
  options.mu = tables.optional_double("mu");
  options.original_inference_steps = tables.optional_int("original_inference_steps");
  options.strength = tables.get("strength", options.strength);
  if (options.timesteps.empty() && options.sigmas.empty())
    options.steps = call.require_int("num_inference_steps");
  const Config step = Config::parse(call.json("step_kwargs").value_or("{}"), call.source());
  // The only class whose step has another default.
  options.eta = step.get("eta", call.get("class", "") == "TCDScheduler" ? 0.3 : options.eta);
  options.use_clipped_model_output = step.get("use_clipped_model_output", options.use_clipped_model_output);
  options.s_churn = step.get("s_churn", options.s_churn);
  options.s_tmin = step.get("s_tmin", options.s_tmin);
  options.s_tmax = step.get("s_tmax", options.s_tmax);
  options.s_noise = step.get("s_noise", options.s_noise);
  try {
    tables.finish();
    step.finish();
  } catch (const ConfigError&) {
    return std::nullopt;
  }
  return options;
}

class CaseCheck {
 public:
  CaseCheck(const std::filesystem::path& folder, const Sampler& sampler)
      : io_(SafetensorsFile::open(folder / "io.safetensors")), sampler_(sampler) {}

  SamplerReport report;

  void tables(const SamplerRun& run) {
    compare_table("alphas_cumprod", sampler_.alphas_cumprod(), sampler_step_bound);
    // Integers must be equal; fractions come from logarithms of sigmas and may differ in their last bit.
    const auto* recorded = io_.find("timesteps");
    const bool integers = recorded && recorded->dtype == weights::DType::i64;
    compare_table("timesteps", run.timesteps(), integers ? 0.0 : sampler_fraction_bound);
    compare_table("sigmas", run.sigmas(), sampler_step_bound);
    const float sigma = run.init_noise_sigma();
    compare_table("init_noise_sigma", {&sigma, 1}, sampler_step_bound);
  }

  /// Every step, from the recorded samples or, `carrying`, from the sample that the step before gave.
  void steps(SamplerRun& run, bool carrying) {
    Tensor<float> sample = channels_last(io_, numbered("sample", 0));
    for (Index i = 0; i < run.calls(); ++i) {
      if (!carrying) {
        sample = channels_last(io_, numbered("sample", i));
        compare(numbered("model_input", i), run.scale_model_input(sample, i), sampler_step_bound);
      }
      Index drawn = 0;  // a step's second draw is `noise.<i>.1`
      const auto noise = [&](const Shape&) {
        const auto name = numbered("noise", i);
        return channels_last(io_, drawn++ == 0 ? name : numbered(name, drawn - 1));
      };
      sample = run.perturb(sample, i, noise);
      sample = run.step(channels_last(io_, numbered("model_output", i)), i, sample, noise);
      if (carrying) continue;
      compare(numbered("sample", i + 1), sample, sampler_step_bound, numbered("step", i));
      for (const char* name : {"pred_original_sample", "denoised"})
        compare(numbered(name, i), run.pred_original_sample(), sampler_step_bound);
    }
    if (carrying) compare(numbered("sample", run.calls()), sample, sampler_chain_bound, "chain");
  }

  /// `forward_*` of samplers with noise levels: sample n of the batch is noised to call calls[n].
  void noising(const SamplerRun& run, const std::vector<int>& calls) {
    const auto original = channels_last(io_, "in.x0"), noise = channels_last(io_, "in.noise");
    std::vector<Tensor<float>> noisy;
    std::vector<float> timesteps, sigmas;
    for (std::size_t n = 0; n < calls.size(); ++n) {
      const auto at = static_cast<Index>(n);
      noisy.push_back(run.add_noise(original.slice(at, at + 1), noise.slice(at, at + 1), calls[n]));
      timesteps.push_back(run.timesteps()[static_cast<std::size_t>(calls[n])]);
      sigmas.push_back(run.sigmas()[static_cast<std::size_t>(calls[n])]);
    }
    compare_table("in.timesteps", timesteps, sampler_fraction_bound);
    compare("out.noisy", concat_leading(std::span<const Tensor<float>>(noisy)), sampler_step_bound);
    if (!io_.contains("out.velocity")) return;
    compare("out.noisy", samplers::add_noise_straight(original, noise, sigmas), sampler_step_bound,
            "add_noise_straight");
    compare("out.velocity", samplers::straight_velocity(original, noise), sampler_step_bound);
  }

  /// `forward_*` and `training_losses` of samplers over training timesteps.
  void objective(const samplers::NoiseSchedule& schedule, double snr_gamma) {
    using samplers::PredictionType;
    const auto original = channels_last(io_, "in.x0"), noise = channels_last(io_, "in.noise");
    const auto recorded = io_.read<std::int64_t>("in.timesteps");
    const std::vector<int> timesteps(recorded.span().begin(), recorded.span().end());
    compare_table("betas", schedule.betas(), sampler_step_bound);
    compare_table("alphas_cumprod", schedule.alphas_cumprod(), sampler_step_bound);
    compare("out.noisy", samplers::add_noise(schedule, original, noise, timesteps), sampler_step_bound);
    compare("out.velocity", samplers::velocity(schedule, original, noise, timesteps), sampler_step_bound);
    compare_table("out.snr", samplers::signal_to_noise(schedule, timesteps), sampler_step_bound);
    for (const auto& [type, suffix] :
         {std::pair{PredictionType::epsilon, "epsilon"}, std::pair{PredictionType::sample, "x0"},
          std::pair{PredictionType::v_prediction, "v"}}) {
      const std::string name = suffix;
      const auto target = samplers::training_target(type, schedule, original, noise, timesteps);
      const auto weights = samplers::min_snr_weights(type, schedule, timesteps, snr_gamma);
      compare("out.target_" + name, target, sampler_step_bound);
      compare_table("out.min_snr_weight_" + name, weights, sampler_step_bound);
      if (!io_.contains("in.model_output")) continue;
      const auto output = channels_last(io_, "in.model_output");
      const auto loss = samplers::simple_loss(output, target);
      const auto value = static_cast<float>(loss.value);
      const auto weighted = static_cast<float>(samplers::simple_loss(output, target, weights).value);
      compare_table("out.loss_" + name, {&value, 1}, sampler_step_bound);
      compare_table("out.loss_" + name + "_min_snr", {&weighted, 1}, sampler_step_bound);
      compare("out.grad_" + name, loss.gradient, sampler_step_bound);
    }
  }

  /// `edm_paper_*`: every call from its recorded input, then the chain with the recording's own denoiser.
  void edm_paper(const RunOptions& options, float sigma_data) {
    const auto noise_of = [&](Index step) {
      return [this, step](const Shape&) { return channels_last(io_, numbered("noise", step)); };
    };
    const auto run = sampler_.start(options);
    std::vector<float> levels, sigma_hats, recorded_hats;
    for (std::size_t i = 0; i < run->sigmas().size(); ++i)
      if (i == 0 || i % 2 == 1) levels.push_back(run->sigmas()[i]);
    compare_table("sigmas", levels, sampler_step_bound);

    Tensor<float> x = scaled(channels_last(io_, "in.latents"), run->init_noise_sigma());
    Tensor<float> carried = x;
    for (Index i = 0; i < run->calls(); i += 2) {
      const Index step = i / 2;
      compare(numbered("x_hat", step), run->perturb(x, i, noise_of(step)), sampler_step_bound);
      sigma_hats.push_back(run->timesteps()[static_cast<std::size_t>(i)]);
      recorded_hats.push_back(io_.read<float>(numbered("t_hat", step)).data()[0]);
      x = run->step(channels_last(io_, numbered("denoised", step)), i,
                    channels_last(io_, numbered("x_hat", step)));
      compare(numbered("x_euler", step), x, sampler_step_bound);
      if (i + 1 == run->calls()) break;
      x = run->step(channels_last(io_, numbered("denoised2", step)), i + 1,
                    channels_last(io_, numbered("x_euler", step)));
    }
    compare("out.x", x, sampler_step_bound, "last step");
    report.findings.push_back(
        {"t_hat", difference(table(sigma_hats), table(recorded_hats)), sampler_step_bound});

    const auto mean = channels_last(io_, "in.data_mean");
    const auto chain = sampler_.start(options);
    for (Index i = 0; i < chain->calls(); ++i) {
      carried = chain->perturb(carried, i, noise_of(i / 2));
      const float sigma = chain->timesteps()[static_cast<std::size_t>(i)];
      Tensor<float> denoised(carried.shape());
      for (Index k = 0; k < carried.size(); ++k) {
        const double value = carried.data()[k], s2 = static_cast<double>(sigma_data) * sigma_data;
        const double sigma2 = static_cast<double>(sigma) * sigma;
        denoised.data()[k] = static_cast<float>((value * s2 + mean.data()[k] * sigma2) / (s2 + sigma2) +
                                                0.05 * std::tanh(value / (1.0 + sigma)));
      }
      compare(numbered(i % 2 == 0 ? "denoised" : "denoised2", i / 2), denoised, sampler_chain_bound);
      carried = chain->step(denoised, i, carried);
    }
    compare("out.x", carried, sampler_chain_bound, "chain");
  }

  /// A finding for each result that nothing was compared with.
  void finish() {
    constexpr double infinite = std::numeric_limits<double>::infinity();
    for (const auto& info : io_.tensors())
      if (info.name.starts_with("out.") && !compared_.contains(info.name))
        report.findings.push_back({info.name + ", not compared", {infinite, infinite}, 0.0});
  }

  const SafetensorsFile& io() const { return io_; }

 private:
  static std::string numbered(const std::string& name, Index i) { return name + "." + std::to_string(i); }

  static Tensor<float> scaled(const Tensor<float>& x, float factor) {
    auto result = x.clone();
    for (float& value : result.span()) value *= factor;
    return result;
  }

  /// Nothing happens for what was not recorded.
  void compare(const std::string& recorded, const Tensor<float>& ours, double bound, std::string name = "") {
    if (!io_.contains(recorded)) return;
    compared_.insert(recorded);
    report.findings.push_back(
        {name.empty() ? recorded : std::move(name), difference(ours, channels_last(io_, recorded)), bound});
  }

  void compare_table(const std::string& name, std::span<const float> ours, double bound) {
    if (!io_.contains(name)) return;
    compared_.insert(name);
    const auto recorded = io_.read<float>(name);
    const bool same_size = static_cast<Index>(ours.size()) == recorded.size();
    constexpr double infinite = std::numeric_limits<double>::infinity();
    report.findings.push_back({name,
                               same_size ? difference(table(ours).reshape(recorded.shape()), recorded)
                                         : Difference{infinite, infinite},
                               bound});
  }

  SafetensorsFile io_;
  const Sampler& sampler_;
  std::set<std::string> compared_;
};

}  // namespace

SamplerReport check_sampler_case(const std::filesystem::path& folder,
                                 const samplers::SamplerRegistry& registry) {
  const auto refuse = [](std::string reason) {
    return SamplerReport{.unsupported = std::move(reason), .findings = {}};
  };
  Config config = Config::load(folder / "config.json");
  if (!registry.knows_class(config.class_name())) return refuse("class " + config.class_name());
  std::optional<Config> call;
  if (std::filesystem::exists(folder / "case.json")) call = Config::load(folder / "case.json");
  // The paper's sampler has no configuration of its own: everything is an argument.
  const auto edm_arguments =
      call && call->get("sampler", "") == "edm_sampler" ? call->json("kwargs") : std::nullopt;
  RunOptions edm_options{.steps = 18};
  if (edm_arguments) {
    const Config arguments = Config::parse(*edm_arguments, call->source());
    edm_options.steps = arguments.get("num_steps", edm_options.steps);
    edm_options.s_churn = arguments.get("S_churn", edm_options.s_churn);
    edm_options.s_tmin = arguments.get("S_min", edm_options.s_tmin);
    edm_options.s_tmax = arguments.get("S_max", edm_options.s_tmax);
    edm_options.s_noise = arguments.get("S_noise", edm_options.s_noise);
    for (const char* key : {"sigma_min", "sigma_max", "rho"})
      if (const auto value = arguments.optional_double(key)) {
        std::ostringstream text;
        text << std::setprecision(17) << "{\"" << key << "\": " << *value << "}";
        config = config.with(text.str());
      }
    try {
      arguments.finish();
    } catch (const ConfigError& error) {
      return refuse(error.what());
    }
  }
  const auto sampler = registry.make(config);
  CaseCheck check(folder, *sampler);

  if (edm_arguments) {
    check.edm_paper(edm_options, static_cast<float>(call->get("sigma_data_std", 0.5)));
  } else if (check.io().contains("in.x0") && config.class_name() == "DDPMScheduler") {
    const samplers::NoiseSchedule schedule(samplers::DdpmConfig::from(config).schedule,
                                           samplers::TerminalAlpha::exact);
    check.objective(schedule, call ? call->get("snr_gamma", 5.0) : 5.0);
  } else if (check.io().contains("in.x0") && call) {
    const auto run = sampler->start(*run_options(*call));
    check.tables(*run);
    check.noising(*run, call->require_ints("timestep_indices"));
  } else if (call && check.io().contains("sample.0")) {
    const auto options = run_options(*call);
    if (!options)
      return refuse("step_kwargs " + call->json("step_kwargs").value_or("{}") + ", set_timesteps_kwargs " +
                    call->json("set_timesteps_kwargs").value_or("{}"));
    const auto run = sampler->start(*options);
    check.tables(*run);
    check.steps(*run, false);
    check.steps(*sampler->start(*options), true);
  } else {
    return refuse("nothing to run");
  }
  check.finish();
  return check.report;
}

}  // namespace daguerre::test
