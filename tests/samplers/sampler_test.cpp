#include <cmath>
#include <random>
#include <thread>

#include "daguerre/core/eigen.hpp"
#include "daguerre/samplers/ddim.hpp"
#include "daguerre/samplers/dpm_solver.hpp"
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

Tensor<float> random(const Shape& shape, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Tensor<float> result(shape);
  for (float& value : result.span()) value = normal(generator);
  return result;
}

/// Noise that depends on the call and not on who asks.
NoiseSource counted_noise(unsigned seed) {
  return [seed, count = 0u](const Shape& shape) mutable { return random(shape, seed + 7919u * ++count); };
}

Config base() {
  return Config::parse(R"({"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
      "beta_schedule": "scaled_linear", "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1})",
                       "base");
}

/// A made-up network: any smooth function does.
Tensor<float> model(const Tensor<float>& x, float t) {
  Tensor<float> result(x.shape());
  array(result) = (0.7f * array(x) + 0.0003f * t).tanh();
  return result;
}

Tensor<float> run_all(const Sampler& sampler, const RunOptions& options, Tensor<float> x,
                      const NoiseSource& noise) {
  const auto run = sampler.start(options);
  for (Index i = options.first_call; i < run->calls(); ++i) {
    x = run->perturb(x, i, noise);
    x = run->step(model(run->scale_model_input(x, i), run->timesteps()[static_cast<std::size_t>(i)]), i, x,
                  noise);
  }
  return x;
}

}  // namespace

TEST_CASE("deterministic samplers with a perfect denoiser of one point arrive there", "[samplers]") {
  const unsigned seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  const auto target = random({2, 4, 4, 3}, seed), start = random({2, 4, 4, 3}, seed + 100);
  const auto registry = SamplerRegistry::standard();
  for (const char* name : {"ddim", "euler", "euler-karras", "dpm++2m", "dpm++2m-karras", "dpm++3m", "dpm++2s",
                           "heun", "heun-karras", "lms", "lms-karras", "unipc", "unipc-karras", "edm-heun"}) {
    INFO(name);
    const auto sampler =
        registry.make(name, base().with(R"({"prediction_type": "sample", "set_alpha_to_one": true})"));
    const auto run = sampler->start({.steps = 12});
    auto x = start.clone();
    array(x) *= run->init_noise_sigma();
    for (Index i = 0; i < run->calls(); ++i) x = run->step(target, i, x);
    CHECK(difference(x, target).rel_l2 < 1e-5);
    CHECK(difference(run->pred_original_sample(), target).rel_l2 < 1e-6);
  }
}

TEST_CASE("every sampler treats the samples of a batch separately and repeats itself", "[samplers]") {
  const unsigned seed = 11;
  INFO("seed " << seed);
  const auto registry = SamplerRegistry::standard();
  const bool thresholding = GENERATE(false, true);
  const auto config =
      thresholding ? base().with(R"({"thresholding": true, "sample_max_value": 3.0})") : base();
  for (const auto& name : registry.names()) {
    INFO(name << (thresholding ? " with thresholding" : ""));
    const auto sampler = registry.make(name, config);
    const auto x = random({3, 4, 4, 2}, seed);
    const auto noise = random({3, 4, 4, 2}, seed + 1);
    const RunOptions options{.steps = 9, .eta = 0.5, .s_churn = 1.0};
    const auto all = run_all(*sampler, options, x, [&](const Shape&) { return noise; });
    CHECK(std::isfinite(difference(all, x).rel_l2));
    CHECK(difference(run_all(*sampler, options, x, [&](const Shape&) { return noise; }), all).max_abs == 0.0);
    for (Index n = 0; n < 3; ++n) {
      const auto alone =
          run_all(*sampler, options, x.slice(n, n + 1), [&](const Shape&) { return noise.slice(n, n + 1); });
      CHECK(difference(alone, all.slice(n, n + 1)).max_abs == 0.0);
    }
  }
}

TEST_CASE("runs of one sampler do not disturb each other", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  for (const auto& name : registry.names()) {
    INFO(name);
    const auto sampler = registry.make(name, base());
    const RunOptions options{.steps = 8, .eta = 1.0};
    std::vector<Tensor<float>> alone, together(4);
    for (unsigned k = 0; k < 4; ++k)
      alone.push_back(run_all(*sampler, options, random({1, 3, 3, 2}, k), counted_noise(k)));
    {
      std::vector<std::jthread> threads;
      for (unsigned k = 0; k < 4; ++k)
        threads.emplace_back([&, k] {
          together[k] = run_all(*sampler, options, random({1, 3, 3, 2}, k), counted_noise(k));
        });
    }
    for (std::size_t k = 0; k < 4; ++k) CHECK(difference(together[k], alone[k]).max_abs == 0.0);
  }
}

TEST_CASE("a caller may reuse its buffers", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  for (const auto& name : registry.names()) {
    INFO(name);
    const auto sampler = registry.make(name, base());
    const auto careful = sampler->start({.steps = 8}), careless = sampler->start({.steps = 8});
    const auto noise = counted_noise(3), same_noise = counted_noise(3);
    auto a = random({1, 4}, 5), b = a.clone();
    for (Index i = 0; i < careful->calls(); ++i) {
      const float t = careful->timesteps()[static_cast<std::size_t>(i)];
      auto output = model(b, t);
      a = careful->step(model(a, t), i, a, noise);
      auto next = careless->step(output, i, b, same_noise);
      array(output).setConstant(99.0f);
      array(b).setConstant(99.0f);
      b = next;
    }
    CHECK(difference(a, b).max_abs == 0.0);
  }
}

TEST_CASE("a run can begin at a later call", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  for (const auto& name : registry.names()) {
    INFO(name);
    const auto sampler = registry.make(name, base());
    const auto original = random({1, 4, 4, 2}, 3), noise = random({1, 4, 4, 2}, 4);
    const Index order = sampler->order();
    for (const Index first : {order, 5 * order, sampler->start({.steps = 10})->calls() - 1}) {
      const RunOptions options{.steps = 10, .first_call = first};
      const auto noisy = sampler->start(options)->add_noise(original, noise, first);
      CHECK(std::isfinite(difference(run_all(*sampler, options, noisy, counted_noise(1)), original).rel_l2));
      expect_error<ArgumentError>([&] { sampler->start(options)->step(noisy, 0, noisy); }, {"expected call"});
    }
    expect_error<ArgumentError>([&] { sampler->start({.steps = 10, .first_call = 20}); }, {"begin", "20"});
    expect_error<ArgumentError>([&] { sampler->start({.steps = 10, .first_call = -1}); }, {"begin", "-1"});
    if (order == 2)
      expect_error<ArgumentError>([&] { sampler->start({.steps = 10, .first_call = 3}); }, {"3", "second"});
  }
}

TEST_CASE("a multistep run that begins later has no history", "[samplers]") {
  // Its first step is of first order, as in a sampler of that order.
  const auto registry = SamplerRegistry::standard();
  const auto config = base().with(R"({"_class_name": "DPMSolverMultistepScheduler"})");
  const auto second = registry.make(config), first = registry.make(config.with(R"({"solver_order": 1})"));
  const auto x = random({1, 8}, 1);
  const auto step = [&](const Sampler& sampler) {
    return sampler.start({.steps = 20, .first_call = 7})->step(model(x, 500.0f), 7, x);
  };
  CHECK(difference(step(*second), step(*first)).max_abs == 0.0);
}

TEST_CASE("wrong calls of a run are refused and leave it as it was", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  const auto x = random({1, 4, 4, 2}, 1), longer = random({1, 4, 5, 2}, 1), doubled = random({1, 4, 4, 4}, 1);
  for (const auto& name : registry.names()) {
    INFO(name);
    const auto run = registry.make(name, base())->start({.steps = 5});
    const NoiseSource noise = counted_noise(1);
    expect_error<ArgumentError>([&] { run->step(x, 1, x, noise); }, {"expected call 0", "1"});
    expect_error<ArgumentError>([&] { run->step(longer, 0, x, noise); }, {"[1, 4, 5, 2]", "[1, 4, 4, 2]"});
    expect_error<ArgumentError>([&] { run->step(doubled, 0, x, noise); }, {"[1, 4, 4, 4]"});
    expect_error<ArgumentError>([&] { run->add_noise(x, longer, 0); }, {"add_noise", "[1, 4, 5, 2]"});
    expect_error<ArgumentError>([&] { run->add_noise(x, x, 77); }, {"77"});
    expect_error<ArgumentError>([&] { run->scale_model_input(x, -1); }, {"-1"});
    CHECK(run->pred_original_sample().empty());
    for (Index i = 0; i < run->calls(); ++i) run->step(x, i, x, noise);
    expect_error<ArgumentError>([&] { run->step(x, run->calls(), x, noise); }, {"has ended"});
  }
  const auto ddpm = registry.make("ddpm", base())->start({.steps = 5});
  expect_error<ArgumentError>([&] { ddpm->step(x, 0, x); }, {"noise"});
  expect_error<ArgumentError>([&] { ddpm->step(x, 0, x, [&](const Shape&) { return longer; }); },
                              {"[1, 4, 5, 2]"});
}

TEST_CASE("impossible numbers of steps are refused", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  for (const auto& name : registry.names()) {
    INFO(name);
    const auto sampler = registry.make(name, base());
    for (const int steps : {0, -3, 1001})
      expect_error<ArgumentError>([&] { sampler->start({.steps = steps}); }, {std::to_string(steps), "1000"});
  }
  const auto prk = registry.make("pndm", base().with(R"({"skip_prk_steps": false})"));
  expect_error<ArgumentError>([&] { prk->start({.steps = 3}); }, {"Runge-Kutta", "4"});
  // 1000 steps with an offset would ask for timestep 1000.
  expect_error<ArgumentError>([&] { registry.make("ddim", base())->start({.steps = 1000}); },
                              {"1000", "999"});
  expect_error<ArgumentError>([&] { registry.make("ddim", base())->start({.steps = 10, .eta = -1}); },
                              {"eta"});
}

TEST_CASE("combinations that divide by zero are refused when a run is made", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  const auto karras3 = registry.make(base().with(R"({"_class_name": "DPMSolverMultistepScheduler",
      "solver_order": 3, "use_karras_sigmas": true, "final_sigmas_type": "sigma_min"})"));
  CHECK_NOTHROW(karras3->start({.steps = 14}));
  expect_error<ArgumentError>([&] { karras3->start({.steps = 15}); }, {"order 3", "solver_order"});
  // Second-order midpoint steps of length zero are harmless.
  const auto karras2 = registry.make(base().with(R"({"_class_name": "DPMSolverMultistepScheduler",
      "use_karras_sigmas": true, "final_sigmas_type": "sigma_min"})"));
  CHECK_NOTHROW(karras2->start({.steps = 18}));
  for (const char* name : {"ddim", "ddpm"}) {
    const auto zero_snr = base().with(R"({"rescale_betas_zero_snr": true, "timestep_spacing": "trailing"})");
    expect_error<ArgumentError>([&] { registry.make(name, zero_snr)->start({.steps = 10}); },
                                {"pure noise", "v_prediction"});
    CHECK_NOTHROW(
        registry.make(name, zero_snr.with(R"({"prediction_type": "v_prediction"})"))->start({.steps = 10}));
  }
  // With the offset the first two timesteps, 1000 and 999, have the same noise level.
  const auto leading = registry.make("dpm++2m", base().with(R"({"timestep_spacing": "leading"})"));
  CHECK_NOTHROW(leading->start({.steps = 998}));
  expect_error<ArgumentError>([&] { leading->start({.steps = 999}); }, {"call 1"});
  CHECK_NOTHROW(
      registry
          .make("ddim", base().with(R"({"rescale_betas_zero_snr": true, "timestep_spacing": "trailing",
                                                  "clip_sample": true})"))
          ->start({.steps = 10}));
  const auto log = registry.make("ddpm", base().with(R"({"variance_type": "fixed_large_log"})"));
  expect_error<ArgumentError>([&] { log->start({.steps = 10}); }, {"fixed_large_log"});
}

TEST_CASE("every number of steps gives a finite sample", "[samplers]") {
  const auto registry = SamplerRegistry::standard();
  const auto spacing = GENERATE("linspace", "leading", "trailing");
  const auto config = base().with(std::string(R"({"timestep_spacing": ")") + spacing + "\"}");
  const auto x = random({1, 2, 2, 1}, 1);
  for (const auto& name : registry.names())
    for (const int steps : {1, 2, 3, 4, 5, 7, 14, 15, 16, 30, 61, 100, 333, 499, 600, 997}) {
      if (name == "pndm" && steps < 4) continue;                     // its Runge-Kutta steps need four
      if ((name == "lcm" || name == "tcd") && steps > 50) continue;  // more than in the distillation
      INFO(name << " " << spacing << " " << steps);
      const auto sampler = registry.make(name, config);
      const auto run = sampler->start({.steps = steps});
      const bool rounds_badly = run->timesteps().back() == -1.0f;  // see spaced_timesteps
      const int levels = steps + (rounds_badly ? 1 : 0);
      if (name != "pndm") CHECK(run->calls() == (sampler->order() == 2 ? 2 * levels - 1 : levels));
      const auto result = run_all(*sampler, {.steps = steps}, x, counted_noise(1));
      CHECK(std::isfinite(difference(result, x).rel_l2));
    }
}
