#include <algorithm>
#include <cmath>
#include <tuple>

#include "daguerre/core/eigen.hpp"
#include "daguerre/core/random.hpp"
#include "daguerre/samplers/registry.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::samplers;
using daguerre::Config;
using daguerre::test::difference;
using daguerre::test::expect_error;

namespace {

std::shared_ptr<const Sampler> make(const std::string& class_name, const std::string& keys = "{}") {
  static const auto registry = SamplerRegistry::standard();
  return registry.make(Config::parse(R"({"beta_start": 0.00085, "beta_end": 0.012,
      "beta_schedule": "scaled_linear"})",
                                     "test")
                           .with(keys)
                           .with("{\"_class_name\": \"" + class_name + "\"}"));
}

Tensor<float> random(const Shape& shape, std::uint64_t seed) {
  return make_generator("torch-cpu", seed)->randn(shape);
}

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

std::vector<double> timesteps(const Sampler& sampler, const RunOptions& options) {
  const auto run = sampler.start(options);
  return widened(run->timesteps());
}

std::vector<double> levels(const Sampler& sampler, const RunOptions& options) {
  const auto run = sampler.start(options);
  return widened(run->sigmas());
}

Tensor<float> run_all(const Sampler& sampler, const RunOptions& options, Tensor<float> x) {
  const auto run = sampler.start(options);
  const auto noise = random(x.shape(), 99);
  const NoiseSource source = [&](const Shape&) { return noise; };
  for (Index i = 0; i < run->calls(); ++i) {
    auto output = run->scale_model_input(x, i).clone();
    array(output) = (0.7f * array(output)).tanh();
    x = run->step(output, i, x, source);
  }
  return x;
}

const std::string multistep = "DPMSolverMultistepScheduler";
const std::string singlestep = "DPMSolverSinglestepScheduler";

}  // namespace

TEST_CASE("DDPM goes from one timestep to the next, in old files by even strides", "[samplers][ddpm]") {
  // Seven trailing steps of 1000 are 142 or 143 apart, an even stride is 142.
  const std::string keys =
      R"({"timestep_spacing": "trailing", "variance_type": "fixed_large", "clip_sample": false)";
  const auto x = random({1, 6}, 1), output = random({1, 6}, 2), noise = random({1, 6}, 3);
  for (const auto& [version, even] :
       {std::pair{"", false}, {"0.31.0", true}, {"0.6.0", true}, {"0.32.0.dev0", false}, {"0.35.2", false}}) {
    INFO(version);
    const auto sampler = make("DDPMScheduler", keys + R"(, "_diffusers_version": ")" + version + "\"}");
    const auto bar = sampler->alphas_cumprod();
    for (const Index i : {Index{0}, Index{3}, Index{6}}) {
      const auto run = sampler->start({.steps = 7, .first_call = i});
      const auto table = widened(run->timesteps());
      const auto t = static_cast<std::size_t>(table[static_cast<std::size_t>(i)]);
      const int next = even     ? static_cast<int>(t) - 142
                       : i == 6 ? -1
                                : static_cast<int>(table[static_cast<std::size_t>(i) + 1]);
      // Equations 6 and 7 of the paper in double.
      const double a = bar[t],
                   before = next < 0 ? 1.0 : static_cast<double>(bar[static_cast<std::size_t>(next)]);
      const double beta = 1.0 - a / before;
      const auto made = run->step(output, i, x, [&](const Shape&) { return noise; });
      for (Index k = 0; k < 6; ++k) {
        const double original = (x.data()[k] - std::sqrt(1.0 - a) * output.data()[k]) / std::sqrt(a);
        const double mean = std::sqrt(before) * beta / (1.0 - a) * original +
                            std::sqrt(a / before) * (1.0 - before) / (1.0 - a) * x.data()[k];
        const double expected = mean + std::sqrt(beta) * noise.data()[k];
        CHECK(std::abs(made.data()[k] - expected) < 1e-4 * (1.0 + std::abs(expected)));
      }
    }
  }
}

TEST_CASE("the Laplace schedule is DDPM's alone", "[samplers][schedule]") {
  const auto sampler = make("DDPMScheduler", R"({"beta_schedule": "laplace"})");
  const auto bar = sampler->alphas_cumprod();
  const auto alpha_bar = [](double t) {
    const double lambda = (t < 0.5 ? -0.5 : 0.5) * std::log(1.0 - 2.0 * std::abs(0.5 - t) + 1e-6);
    return std::sqrt(1.0 / (1.0 + std::exp(-lambda)));
  };
  for (const std::size_t t : {std::size_t{0}, std::size_t{99}, std::size_t{499}, std::size_t{899}})
    CHECK(std::abs(bar[t] - alpha_bar(static_cast<double>(t + 1) / 1000) / alpha_bar(0.0)) < 1e-4);
  expect_error<ConfigError>([] { make("DDIMScheduler", R"({"beta_schedule": "laplace"})"); }, {"laplace"});
}

TEST_CASE("solvers in lambda follow every spacing of noise levels", "[samplers]") {
  for (const auto& name :
       {multistep, singlestep, std::string("DEISMultistepScheduler"), std::string("UniPCMultistepScheduler")})
    for (const auto& [key, spacing] : {std::pair{"use_karras_sigmas", SigmaSpacing::karras},
                                       {"use_exponential_sigmas", SigmaSpacing::exponential},
                                       {"use_beta_sigmas", SigmaSpacing::beta}}) {
      INFO(name << " " << key);
      const std::string on = std::string("\"") + key + "\": true";
      for (const bool own_ends : {false, true}) {
        const auto sampler =
            make(name, "{" + on + (own_ends ? R"(, "sigma_min": 0.1, "sigma_max": 10.0)" : "") +
                           R"(, "final_sigmas_type": "sigma_min"})");
        const auto found = levels(*sampler, {.steps = 8});
        REQUIRE(found.size() == 9);
        const double low = own_ends ? 0.1 : 0.0291672, high = own_ends ? 10.0 : 14.6146;
        const auto expected = spaced_sigmas(spacing, low, high, 8);
        for (std::size_t k = 0; k < 8; ++k) CHECK(std::abs(found[k] - expected[k]) < 1e-4 * expected[k]);
        // DPM-Solver ends in the schedule's smallest level, DEIS and UniPC repeat their own.
        const bool repeats = name != multistep && name != singlestep;
        CHECK(std::abs(found[8] - (repeats ? found[7] : 0.0291672)) < 1e-6);
        for (const double t : timesteps(*sampler, {.steps = 8})) CHECK(t == std::trunc(t));
        CHECK(std::isfinite(
            difference(run_all(*sampler, {.steps = 8}, random({1, 4}, 1)), random({1, 4}, 2)).rel_l2));
      }
    }
}

TEST_CASE("noise levels are spaced between the ends that a file names", "[samplers]") {
  const std::string ends = R"(, "sigma_min": 0.2, "sigma_max": 9.0)";
  for (const char* name : {"EulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2DiscreteScheduler",
                           "KDPM2AncestralDiscreteScheduler", "LMSDiscreteScheduler"})
    for (const char* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}) {
      INFO(name << " " << key);
      const auto found =
          levels(*make(name, std::string("{\"") + key + "\": true" + ends + "}"), {.steps = 6});
      // LMS alone does not look at them for Karras' levels.
      const bool looks =
          name != std::string("LMSDiscreteScheduler") || key != std::string("use_karras_sigmas");
      CHECK(std::abs(found.front() - (looks ? 9.0 : 14.6146)) < 1e-4);
      const auto smallest = std::find(found.begin(), found.end(), 0.0) - 1;
      CHECK(std::abs(*smallest - (looks ? 0.2 : 0.0291672)) < 1e-4);
    }
  expect_error<ConfigError>(
      [] { make("HeunDiscreteScheduler", R"({"use_karras_sigmas": true, "sigma_min": -1})"); },
      {"sigma_min"});
}

TEST_CASE("Karras' timesteps of the cosine schedule are rounded down since 0.33", "[samplers]") {
  const std::string keys = R"({"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": true)";
  const auto newest = timesteps(*make(multistep, keys + "}"), {.steps = 12});
  const auto older =
      timesteps(*make(multistep, keys + R"(, "_diffusers_version": "0.32.2"})"), {.steps = 12});
  const auto other = timesteps(*make("UniPCMultistepScheduler", keys + "}"), {.steps = 12});
  CHECK(older == other);
  int lower = 0;
  for (std::size_t k = 0; k < 12; ++k) {
    CHECK((newest[k] == older[k] || newest[k] == older[k] - 1.0));
    lower += newest[k] < older[k];
  }
  CHECK(lower > 0);
}

TEST_CASE("singlestep DPM-Solver ends in a first-order call where sigma is zero", "[samplers]") {
  const auto x = random({1, 8}, 1);
  for (const int order : {2, 3})
    for (const int steps : {9, 10, 11, 12}) {
      INFO(order << " " << steps);
      const auto sampler = make(singlestep, "{\"solver_order\": " + std::to_string(order) + "}");
      // Which is the prediction of x_0 itself.
      const auto run = sampler->start({.steps = steps});
      auto sample = x;
      for (Index i = 0; i < run->calls(); ++i) {
        auto output = sample.clone();
        array(output) = (0.7f * array(sample)).tanh();
        sample = run->step(output, i, sample);
      }
      CHECK(difference(sample, run->pred_original_sample()).rel_l2 < 1e-6);
    }
}

TEST_CASE("a step of the SDE form with equal predictions is of first order", "[samplers]") {
  const auto noise = random({1, 8}, 2), prediction = random({1, 8}, 3);
  const NoiseSource source = [&](const Shape&) { return noise; };
  for (const auto& name : {multistep, singlestep})
    for (const char* type : {"midpoint", "heun"})
      for (const int order : {2, 3}) {
        INFO(name << " " << type << " " << order);
        const auto keys = [&](int n) {
          return R"({"algorithm_type": "sde-dpmsolver++", "prediction_type": "sample", "solver_type": ")" +
                 std::string(type) + R"(", "solver_order": )" + std::to_string(n) + "}";
        };
        const auto high = make(name, keys(order))->start({.steps = 6}),
                   low = make(name, keys(1))->start({.steps = 6});
        auto a = random({1, 8}, 1), b = a;
        // Singlestep groups start again from their beginning, so only their first calls agree.
        for (Index i = 0; i < (name == multistep ? 6 : 1); ++i) {
          a = high->step(prediction, i, a, source);
          b = low->step(prediction, i, b, source);
          CHECK(difference(a, b).rel_l2 < 1e-5);
        }
      }
  expect_error<ArgumentError>(
      [] {
        make(multistep, R"({"algorithm_type": "sde-dpmsolver", "solver_order": 3,
                            "final_sigmas_type": "sigma_min"})")
            ->start({.steps = 9});
      },
      {"sde-dpmsolver", "solver_order"});
}

TEST_CASE("few-step samplers take the distillation's steps from the run", "[samplers]") {
  const auto lcm = make("LCMScheduler"), tcd = make("TCDScheduler");
  CHECK(timesteps(*lcm, {.steps = 4, .original_inference_steps = 40}) ==
        std::vector<double>{999, 749, 499, 249});
  CHECK(timesteps(*lcm, {.steps = 4, .original_inference_steps = 40}) ==
        timesteps(*make("LCMScheduler", R"({"original_inference_steps": 40})"), {.steps = 4}));
  // TCD chooses among all training timesteps as soon as a number is given.
  CHECK(timesteps(*tcd, {.steps = 4, .original_inference_steps = 40}) ==
        std::vector<double>{999, 749, 499, 249});
  CHECK(timesteps(*tcd, {.steps = 3, .original_inference_steps = 40}) == std::vector<double>{999, 666, 333});
  CHECK(timesteps(*lcm, {.steps = 3, .original_inference_steps = 40}) == std::vector<double>{999, 674, 349});
  // The last part of them.
  CHECK(timesteps(*lcm, {.steps = 5, .strength = 0.5}) == std::vector<double>{499, 399, 299, 199, 99});
  CHECK(timesteps(*tcd, {.steps = 2, .original_inference_steps = 40, .strength = 0.3}) ==
        std::vector<double>{299, 149});
  for (const auto* sampler : {&lcm, &tcd}) {
    expect_error<ArgumentError>([&] { (*sampler)->start({.steps = 41, .original_inference_steps = 40}); },
                                {"41", "original_inference_steps", "40"});
    expect_error<ArgumentError>([&] { (*sampler)->start({.steps = 30, .strength = 0.5}); },
                                {"30", "strength"});
    for (const int wrong : {0, 1001})
      expect_error<ArgumentError>([&] { (*sampler)->start({.steps = 1, .original_inference_steps = wrong}); },
                                  {"original_inference_steps", std::to_string(wrong)});
    for (const double wrong : {0.0, 1.1, std::nan("")})
      expect_error<ArgumentError>([&] { (*sampler)->start({.steps = 1, .strength = wrong}); }, {"strength"});
    expect_error<ArgumentError>(
        [&] {
          (*sampler)->start({.timesteps = {9, 1}, .strength = 0.5});
        },
        {"strength"});
  }
}

TEST_CASE("EDM's Euler takes places between its ends and may end in sigma_min", "[samplers][edm]") {
  const auto euler = make("EDMEulerScheduler", R"({"final_sigmas_type": "sigma_min"})");
  const auto plain = levels(*euler, {.steps = 5});
  CHECK(plain[5] == plain[4]);
  CHECK(std::abs(plain[4] - 0.002) < 1e-6);
  const auto placed = levels(*euler, {.sigmas = {0.0, 0.25, 0.5, 0.75, 1.0}});
  REQUIRE(placed.size() == 6);
  for (std::size_t k = 0; k < 6; ++k) CHECK(std::abs(placed[k] - plain[k]) < 1e-5 * plain[k]);
  CHECK(levels(*euler, {.sigmas = {0.0, 0.9}})[1] < plain[3]);
  for (const auto& wrong : {std::vector<double>{0.5, 0.2}, {0.0, 1.5}, {-0.1, 1.0}})
    expect_error<ArgumentError>([&] { euler->start({.sigmas = wrong}); }, {"ascend"});
}

TEST_CASE("iPNDM follows levels of a file", "[samplers]") {
  const auto sampler = make("IPNDMScheduler", R"({"trained_betas": [0.9, 0.5, 0.2, 0.0]})");
  const auto run = sampler->start({.steps = 3});
  constexpr double pi = 3.14159265358979;
  for (std::size_t k = 0; k < 3; ++k) {
    const double sigma = std::vector<double>{0.9, 0.5, 0.2}[k];
    CHECK(std::abs(run->timesteps()[k] - std::atan2(sigma, std::sqrt(1 - sigma * sigma)) / pi * 2) < 1e-6);
  }
  expect_error<ArgumentError>([&] { sampler->start({.steps = 4}); }, {"trained_betas", "3", "4"});
  expect_error<ConfigError>([] { make("IPNDMScheduler", R"({"trained_betas": [0.9, 1.5]})"); },
                            {"trained_betas", "1.5"});
}

TEST_CASE("a null is Python's None in every option of a scheduler", "[samplers][registry]") {
  const auto x = random({1, 4, 4, 3}, 5);
  const auto same = [&](const std::string& name, const std::string& null, const std::string& value) {
    INFO(name << " " << null << " as " << value);
    CHECK(
        difference(run_all(*make(name, null), {.steps = 9}, x), run_all(*make(name, value), {.steps = 9}, x))
            .max_abs == 0.0);
  };
  // None is false, whatever the class's default is.
  same("DDPMScheduler", R"({"clip_sample": null})", R"({"clip_sample": false})");
  same("DDIMScheduler", R"({"clip_sample": null, "set_alpha_to_one": null})",
       R"({"clip_sample": false, "set_alpha_to_one": false})");
  same(multistep, R"({"lower_order_final": null, "final_sigmas_type": "sigma_min"})",
       R"({"lower_order_final": false, "final_sigmas_type": "sigma_min"})");
  same("UniPCMultistepScheduler", R"({"predict_x0": null, "final_sigmas_type": "sigma_min"})",
       R"({"predict_x0": false, "final_sigmas_type": "sigma_min"})");
  same("PNDMScheduler", R"({"skip_prk_steps": null})", R"({"skip_prk_steps": false})");
  same("EulerDiscreteScheduler", R"({"timestep_type": null, "use_karras_sigmas": null, "sigma_min": null})",
       "{}");
  // Where it names the small variance or none at all.
  same("DDPMScheduler", R"({"variance_type": null})", R"({"variance_type": "fixed_small"})");
  same(multistep, R"({"variance_type": null, "trained_betas": null})", "{}");
  // What nothing asks for is not looked at.
  same("DDPMScheduler", R"({"clip_sample": false, "clip_sample_range": null, "sample_max_value": null})",
       R"({"clip_sample": false})");
  same(multistep, R"({"steps_offset": null, "flow_shift": null, "dynamic_thresholding_ratio": null})", "{}");
  same("DDIMScheduler", R"({"beta_schedule": "squaredcos_cap_v2", "beta_start": null, "beta_end": null})",
       R"({"beta_schedule": "squaredcos_cap_v2"})");
  // Everything else fails there, too.
  for (const auto& [name, key, more] : {std::tuple{std::string("DDPMScheduler"), "clip_sample_range", ""},
                                        {"DDPMScheduler", "num_train_timesteps", ""},
                                        {"DDPMScheduler", "beta_schedule", ""},
                                        {"DDPMScheduler", "prediction_type", ""},
                                        {"DDPMScheduler", "timestep_spacing", ""},
                                        {"DDIMScheduler", "beta_end", ""},
                                        {"DDIMScheduler", "steps_offset", ""},
                                        {multistep, "solver_order", ""},
                                        {multistep, "algorithm_type", ""},
                                        {multistep, "solver_type", ""},
                                        {multistep, "final_sigmas_type", ""},
                                        {multistep, "lambda_min_clipped", ""},
                                        {multistep, "sample_max_value", R"("thresholding": true, )"},
                                        {multistep, "flow_shift", R"("use_flow_sigmas": true, )"},
                                        {"UniPCMultistepScheduler", "disable_corrector", ""},
                                        {"LCMScheduler", "timestep_scaling", ""},
                                        {"LCMScheduler", "original_inference_steps", ""},
                                        {"EDMEulerScheduler", "sigma_max", ""},
                                        {"EDMEulerScheduler", "sigma_schedule", ""},
                                        {"FlowMatchEulerDiscreteScheduler", "shift", ""},
                                        {"FlowMatchEulerDiscreteScheduler", "time_shift_type", ""},
                                        {"CogVideoXDDIMScheduler", "snr_shift_scale", ""}}) {
    INFO(name << " " << key);
    const std::string keys = "{" + std::string(more) + "\"" + key + "\": null}";
    expect_error<ConfigError>([&, n = name] { make(n, keys); }, {key, "null"});
  }
}
