#include <cmath>
#include <random>

#include "daguerre/core/eigen.hpp"
#include "daguerre/core/random.hpp"
#include "daguerre/samplers/edm.hpp"
#include "daguerre/samplers/flow_match.hpp"
#include "daguerre/samplers/registry.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::samplers;
using daguerre::Config;
using daguerre::test::difference;
using daguerre::test::expect_error;

namespace {

const SamplerRegistry& registry() {
  static const auto standard = SamplerRegistry::standard();
  return standard;
}

std::shared_ptr<const Sampler> make(const std::string& class_name, const std::string& keys = "{}") {
  return registry().make(Config::parse(R"({"beta_start": 0.00085, "beta_end": 0.012,
      "beta_schedule": "scaled_linear", "clip_sample": false})",
                                       "test")
                             .with(keys)
                             .with("{\"_class_name\": \"" + class_name + "\"}"));
}

Tensor<float> random(const Shape& shape, std::uint64_t seed) {
  return make_generator("torch-cpu", seed)->randn(shape);
}

/// All calls with a made-up network; `noise` is the same at every draw.
Tensor<float> run_all(const Sampler& sampler, const RunOptions& options, Tensor<float> x,
                      const Tensor<float>& noise) {
  const auto run = sampler.start(options);
  const auto source = [&](const Shape&) { return noise; };
  for (Index i = 0; i < run->calls(); ++i) {
    x = run->perturb(x, i, source);
    auto output = run->scale_model_input(x, i).clone();
    array(output) = (0.7f * array(output)).tanh();
    x = run->step(output, i, x, source);
  }
  return x;
}

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

/// The error of a run of the paper's sampler for data N(0, 1), of which the exact path of the probability
/// flow is known: x proportional to sqrt(1 + sigma^2).
double gaussian_error(const Sampler& sampler, int steps) {
  const auto run = sampler.start({.steps = steps});
  Tensor<float> x = Tensor<float>::full({1, 1}, run->init_noise_sigma());
  for (Index i = 0; i < run->calls(); ++i) {
    const float sigma = run->timesteps()[static_cast<std::size_t>(i)];
    auto denoised = x.clone();
    array(denoised) = array(x) / (1.0f + sigma * sigma);
    x = run->step(denoised, i, x);
  }
  const double start = run->init_noise_sigma();
  return std::abs(static_cast<double>(x.data()[0]) - start / std::sqrt(1.0 + start * start));
}

}  // namespace

TEST_CASE("EDM's sampler is of second order", "[samplers][edm]") {
  const auto sampler = make("EDMSampler", R"({"sigma_max": 10, "sigma_min": 0.05})");
  const double coarse = gaussian_error(*sampler, 10), fine = gaussian_error(*sampler, 20),
               finest = gaussian_error(*sampler, 40);
  INFO(coarse << " " << fine << " " << finest);
  CHECK(coarse / fine > 3.0);
  CHECK(fine / finest > 3.0);
  CHECK(finest < 2e-3);
}

TEST_CASE("EDM's sampler adds its noise before the model is called", "[samplers][edm]") {
  const auto sampler = make("EDMSampler");
  const RunOptions options{.steps = 5, .s_churn = 2.0};
  const auto x = random({1, 400, 500}, 1), noise = random({1, 400, 500}, 2);
  const NoiseSource source = [&](const Shape&) { return noise; };
  const auto run = sampler->start(options);
  const double gamma = 0.4, level = run->sigmas()[0], raised = level * (1.0 + gamma);
  CHECK(std::abs(run->timesteps()[0] - raised) < 1e-4);
  const auto churned = run->perturb(x, 0, source);
  auto added = churned.clone();
  array(added) -= array(x);
  auto expected = noise.clone();
  array(expected) *= static_cast<float>(std::sqrt(raised * raised - level * level));
  CHECK(difference(added, expected).rel_l2 < 1e-6);
  expect_error<ArgumentError>([&] { sampler->start(options)->perturb(x, 0); }, {"noise source"});
  expect_error<ArgumentError>([&] { sampler->start(options)->step(x, 0, x, source); }, {"perturb"});
  expect_error<ArgumentError>([&] { sampler->start(options)->perturb(x, 1, source); }, {"expected call 0"});
  // Without churn nothing is added; a source is drawn from all the same, as in the paper's code.
  int draws = 0;
  const auto quiet = sampler->start({.steps = 5});
  const auto same = quiet->perturb(x, 0, [&](const Shape&) { return ++draws, noise; });
  CHECK(difference(same, x).max_abs == 0.0);
  CHECK(draws == 1);
  CHECK(difference(sampler->start({.steps = 5})->perturb(x, 0), x).max_abs == 0.0);
}

TEST_CASE("a flow-matching model of one point leads there", "[samplers][flow]") {
  const auto target = random({2, 3, 3, 4}, 3), noise = random({2, 3, 3, 4}, 4);
  for (const char* name : {"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"}) {
    INFO(name);
    const auto sampler = make(name, R"({"shift": 3.0})");
    const auto run = sampler->start({.steps = 7});
    Tensor<float> x = noise;
    for (Index i = 0; i < run->calls(); ++i) {
      const float t = run->timesteps()[static_cast<std::size_t>(i)] / 1000.0f;
      CHECK(difference(run->add_noise(target, noise, i), x).rel_l2 < 1e-5);
      auto velocity = x.clone();
      array(velocity) = (array(x) - array(target)) / t;
      x = run->step(velocity, i, x);
    }
    CHECK(difference(x, target).rel_l2 < 1e-5);
    CHECK(difference(run->pred_original_sample(), target).rel_l2 < 1e-5);
  }
}

TEST_CASE("the dynamic shift follows the picture's size", "[samplers][flow]") {
  const FlowMatchEulerConfig config;
  CHECK(std::abs(config.mu(256) - 0.5) < 1e-12);
  CHECK(std::abs(config.mu(4096) - 1.15) < 1e-12);
  const auto dynamic =
      make("FlowMatchEulerDiscreteScheduler", R"({"use_dynamic_shifting": true, "shift": 9})");
  const auto fixed = make("FlowMatchEulerDiscreteScheduler", R"({"shift": 2})");
  expect_error<ArgumentError>([&] { dynamic->start({.steps = 4}); }, {"mu"});
  const std::vector<double> sigmas{1.0, 0.75, 0.5, 0.25};
  const auto a = dynamic->start({.sigmas = sigmas, .mu = std::log(2.0)}),
             b = fixed->start({.sigmas = sigmas});
  REQUIRE(a->calls() == 4);
  for (std::size_t k = 0; k < 4; ++k) CHECK(std::abs(a->sigmas()[k] - b->sigmas()[k]) < 1e-6);
  CHECK(std::abs(a->timesteps()[2] - 1000.0 * 2.0 / 3.0) < 1e-3);
}

TEST_CASE("first-order steps of all solvers in lambda are the same", "[samplers]") {
  const auto x = random({1, 4, 4, 3}, 5), noise = random({1, 4, 4, 3}, 6);
  const std::string first = R"("solver_order": 1, "final_sigmas_type": "sigma_min")";
  const auto dpm = make("DPMSolverMultistepScheduler", "{" + first + "}");
  const auto expected = run_all(*dpm, {.steps = 12}, x, noise);
  const auto every_step = R"("disable_corrector": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])";
  for (const auto& other :
       {make("DEISMultistepScheduler", "{" + first + "}"),
        make("UniPCMultistepScheduler", "{" + first + ", " + every_step + "}"),
        make("UniPCMultistepScheduler", "{" + first + R"(, "predict_x0": false, )" + every_step + "}")})
    CHECK(difference(run_all(*other, {.steps = 12}, x, noise), expected).rel_l2 < 1e-5);
}

TEST_CASE("custom tables are followed", "[samplers]") {
  const auto x = random({1, 4, 4, 3}, 7), noise = random({1, 4, 4, 3}, 8);
  for (const char* name :
       {"DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler", "LCMScheduler", "TCDScheduler"}) {
    INFO(name);
    const auto sampler = make(name, R"({"timestep_spacing": "leading"})");
    const RunOptions plain{.steps = 10, .eta = 0.3};
    auto custom = plain;
    custom.steps = 0;  // not looked at
    for (const double t : widened(sampler->start(plain)->timesteps()))
      if (custom.timesteps.empty() || t < custom.timesteps.back()) custom.timesteps.push_back(t);
    CHECK(difference(run_all(*sampler, custom, x, noise), run_all(*sampler, plain, x, noise)).max_abs == 0.0);

    for (const auto& wrong : {std::vector<double>{5, 10}, {1000, 3}, {7, 7}, {7, -1}})
      expect_error<ArgumentError>([&] { sampler->start({.timesteps = wrong}); }, {"descend"});
    expect_error<ArgumentError>([&] { sampler->start({.timesteps = {9, 1}, .sigmas = {2, 1}}); }, {"sigmas"});
  }
  const auto euler = make("EulerDiscreteScheduler");
  const RunOptions plain{.steps = 10};
  const RunOptions levels{.steps = 0, .sigmas = widened(euler->start(plain)->sigmas())};
  CHECK(difference(run_all(*euler, levels, x, noise), run_all(*euler, plain, x, noise)).max_abs == 0.0);
  expect_error<ArgumentError>([&] { euler->start({.sigmas = {1.0}}); }, {"finished sample"});
  for (const char* name : {"EulerDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler"})
    expect_error<ArgumentError>(
        [&] {
          make(name, R"({"use_karras_sigmas": true})")->start({.timesteps = {9, 1}});
        },
        {"spacing"});
  for (const char* name : {"DDIMScheduler", "PNDMScheduler", "UniPCMultistepScheduler", "EDMSampler"}) {
    INFO(name);
    expect_error<ArgumentError>([&] { make(name)->start({.timesteps = {9, 1}}); }, {"custom timesteps"});
    expect_error<ArgumentError>([&] { make(name)->start({.sigmas = {9, 1}}); }, {"custom sigmas"});
  }
}

TEST_CASE("few-step samplers keep to the steps of the distillation", "[samplers]") {
  for (const char* name : {"LCMScheduler", "TCDScheduler"}) {
    INFO(name);
    const auto run = make(name)->start({.steps = 4});
    CHECK(widened(run->timesteps()) == std::vector<double>{999, 759, 499, 259});
    expect_error<ArgumentError>([&] { make(name)->start({.steps = 51}); },
                                {"51", "original_inference_steps"});
    expect_error<ConfigError>([&] { make(name, R"({"original_inference_steps": 0})"); },
                              {"original_inference_steps", "0"});
  }
  expect_error<ArgumentError>([&] { make("TCDScheduler")->start({.steps = 4, .eta = 1.5}); }, {"eta"});
}

TEST_CASE("configurations that cannot be are refused", "[samplers]") {
  expect_error<ConfigError>([] { make("KDPM2DiscreteScheduler", R"({"prediction_type": "sample"})"); },
                            {"KDPM2DiscreteScheduler", "prediction_type"});
  expect_error<ConfigError>([] { make("UniPCMultistepScheduler", R"({"solver_order": 4})"); },
                            {"UniPCMultistepScheduler", "4"});
  expect_error<ConfigError>([] { make("UniPCMultistepScheduler", R"({"solver_p": {"a": 1}})"); },
                            {"solver_p"});
  expect_error<ConfigError>([] { make("EDMEulerScheduler", R"({"sigma_min": 3, "sigma_max": 2})"); },
                            {"sigma_min", "sigma_max"});
  expect_error<ConfigError>([] { make("EDMEulerScheduler", R"({"sigma_schedule": "beta"})"); },
                            {"sigma_schedule", "karras"});
  expect_error<ConfigError>(
      [] { make("EDMDPMSolverMultistepScheduler", R"({"algorithm_type": "dpmsolver"})"); },
      {"algorithm_type"});
  expect_error<ConfigError>([] { make("FlowMatchEulerDiscreteScheduler", R"({"shift": 0})"); }, {"shift"});
  expect_error<ConfigError>([] { make("IPNDMScheduler", R"({"trained_betas": [0.1]})"); }, {"trained_betas"});
  expect_error<ConfigError>([] { make("DDIMScheduler", R"({"trained_betas": []})"); }, {"trained_betas"});
  expect_error<ConfigError>([] { make("EulerDiscreteScheduler", R"({"beta_schedule": "exp"})"); }, {"exp"});
  CHECK_NOTHROW(make("HeunDiscreteScheduler", R"({"beta_schedule": "exp"})")->start({.steps = 5}));
}
