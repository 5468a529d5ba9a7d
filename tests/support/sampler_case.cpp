#include "support/sampler_case.hpp"

#include <cmath>
#include <optional>

namespace daguerre::test {
namespace {

using samplers::RunOptions;
using samplers::Sampler;
using samplers::SamplerRun;
using weights::Config;
using weights::SafetensorsFile;

Tensor<float> table(std::span<const float> values) {
  return Tensor<float>::copy_of({static_cast<Index>(values.size())}, values);
}

/// The arguments that diffusers' step function got; nullopt for one that is not known here.
std::optional<RunOptions> run_options(const Config& call) {
  RunOptions options;
  options.steps = call.require_int("num_inference_steps");
  const Config step = Config::parse(call.json("step_kwargs").value_or("{}"), call.source());
  options.eta = step.get("eta", options.eta);
  options.use_clipped_model_output = step.get("use_clipped_model_output", options.use_clipped_model_output);
  options.s_churn = step.get("s_churn", options.s_churn);
  options.s_tmin = step.get("s_tmin", options.s_tmin);
  options.s_tmax = step.get("s_tmax", options.s_tmax);
  options.s_noise = step.get("s_noise", options.s_noise);
  try {
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

  void tables(const SamplerRun* run) {
    compare_table("alphas_cumprod", sampler_.alphas_cumprod(), sampler_step_bound);
    if (!run) return;
    // Integers must be equal; fractions come from logarithms of sigmas and may differ in their last bit.
    const auto* recorded = io_.find("timesteps");
    const bool integers = recorded && recorded->dtype == weights::DType::i64;
    compare_table("timesteps", run->timesteps(), integers ? 0.0 : sampler_fraction_bound);
    compare_table("sigmas", run->sigmas(), sampler_step_bound);
    const float sigma = run->init_noise_sigma();
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
      const auto noise = [&](const Shape&) { return channels_last(io_, numbered("noise", i)); };
      sample = run.step(channels_last(io_, numbered("model_output", i)), i, sample, noise);
      if (carrying) continue;
      compare(numbered("sample", i + 1), sample, sampler_step_bound, numbered("step", i));
      compare(numbered("pred_original_sample", i), run.pred_original_sample(), sampler_step_bound);
    }
    if (carrying) compare(numbered("sample", run.calls()), sample, sampler_chain_bound, "chain");
  }

  /// `forward_*`: sample n of the batch is noised to call calls[n].
  void noising(const SamplerRun& run, const std::vector<int>& calls) {
    const auto original = channels_last(io_, "in.x0"), noise = channels_last(io_, "in.noise");
    std::vector<Tensor<float>> noisy;
    for (std::size_t n = 0; n < calls.size(); ++n) {
      const auto at = static_cast<Index>(n);
      noisy.push_back(run.add_noise(original.slice(at, at + 1), noise.slice(at, at + 1), calls[n]));
    }
    compare("out.noisy", concat_leading(std::span<const Tensor<float>>(noisy)), sampler_step_bound);
  }

  const SafetensorsFile& io() const { return io_; }

 private:
  static std::string numbered(const std::string& name, Index i) { return name + "." + std::to_string(i); }

  /// Nothing happens for what was not recorded.
  void compare(const std::string& recorded, const Tensor<float>& ours, double bound, std::string name = "") {
    if (!io_.contains(recorded)) return;
    report.findings.push_back(
        {name.empty() ? recorded : std::move(name), difference(ours, channels_last(io_, recorded)), bound});
  }

  void compare_table(const std::string& name, std::span<const float> ours, double bound) {
    if (!io_.contains(name)) return;
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
};

}  // namespace

SamplerReport check_sampler_case(const std::filesystem::path& folder,
                                 const samplers::SamplerRegistry& registry) {
  const auto refuse = [](std::string reason) {
    return SamplerReport{.unsupported = std::move(reason), .findings = {}};
  };
  const Config config = Config::load(folder / "config.json");
  if (!registry.knows_class(config.class_name())) return refuse("class " + config.class_name());
  const auto sampler = registry.make(config);
  CaseCheck check(folder, *sampler);

  std::optional<Config> call;
  if (std::filesystem::exists(folder / "case.json")) call = Config::load(folder / "case.json");
  if (call && call->json("set_timesteps_kwargs").value_or("{}") != "{}")
    return refuse("set_timesteps_kwargs " + *call->json("set_timesteps_kwargs"));

  if (check.io().contains("in.x0")) {
    if (call) {
      const auto run = sampler->start(*run_options(*call));
      check.tables(run.get());
      check.noising(*run, call->require_ints("timestep_indices"));
    } else {
      // Training timesteps, which are the calls of a run that leaves none out, backwards. Noising does not
      // depend on what the model predicts, but an epsilon model cannot start from pure noise.
      const auto trained = static_cast<int>(sampler->alphas_cumprod().size());
      const auto run =
          registry.make(config.with(R"({"prediction_type": "v_prediction"})"))->start({.steps = trained});
      std::vector<int> calls;
      const auto timesteps = check.io().read<std::int64_t>("in.timesteps");
      for (const auto t : timesteps.span()) calls.push_back(trained - 1 - static_cast<int>(t));
      check.tables(nullptr);
      check.noising(*run, calls);
    }
  } else if (call && check.io().contains("sample.0")) {
    const auto options = run_options(*call);
    if (!options) return refuse("step_kwargs " + call->json("step_kwargs").value_or(""));
    const auto run = sampler->start(*options);
    check.tables(run.get());
    check.steps(*run, false);
    check.steps(*sampler->start(*options), true);
  } else {
    return refuse("nothing to run");
  }
  return check.report;
}

}  // namespace daguerre::test
