#include <cmath>

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
  return registry.make(Config::parse(keys, "test").with("{\"_class_name\": \"" + class_name + "\"}"));
}

const std::string flow_euler = "FlowMatchEulerDiscreteScheduler";
const std::string unipc = "UniPCMultistepScheduler";
const std::string over_flow = R"("use_flow_sigmas": true, "prediction_type": "flow_prediction")";

Tensor<float> random(const Shape& shape, std::uint64_t seed) {
  return make_generator("torch-cpu", seed)->randn(shape);
}

std::vector<double> levels(const Sampler& sampler, const RunOptions& options) {
  const auto run = sampler.start(options);
  return {run->sigmas().begin(), run->sigmas().end()};
}

bool near(const std::vector<double>& a, const std::vector<double>& b, double bound = 1e-6) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k)
    if (!(std::abs(a[k] - b[k]) <= bound)) return false;
  return true;
}

/// Where a run from `x` comes to with the velocity of straight paths to `target`, or with a made-up one.
Tensor<float> run_all(const Sampler& sampler, const RunOptions& options, Tensor<float> x,
                      const Tensor<float>& target, const NoiseSource& noise, bool perfect) {
  const auto run = sampler.start(options);
  for (Index i = 0; i < run->calls(); ++i) {
    const float sigma = run->sigmas()[static_cast<std::size_t>(i)];
    auto velocity = x.clone();
    if (perfect)
      array(velocity) = (array(x) - array(target)) / sigma;
    else
      array(velocity) = (0.6f * array(x) - array(target)).tanh() + 0.2f * sigma;
    x = run->step(velocity, i, x, noise);
  }
  return x;
}

/// The shift of Stable Diffusion 3, in double.
double shifted(double sigma, double shift) {
  return shift * sigma / (1.0 + (shift - 1.0) * sigma);
}

}  // namespace

TEST_CASE("solvers in lambda over flow levels lead a model of one point there", "[samplers][flow]") {
  const auto target = random({2, 3, 3, 4}, 3), start = random({2, 3, 3, 4}, 4);
  int drawn = 0;
  const NoiseSource noise = [&](const Shape& shape) {
    return random(shape, 50u + static_cast<unsigned>(++drawn));
  };
  for (const std::string name :
       {"DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"})
    for (const int order : {1, 2, 3})
      for (const char* algorithm : {"dpmsolver++", "sde-dpmsolver++"}) {
        INFO(name << " " << order << " " << algorithm);
        const auto sampler =
            make(name, "{" + over_flow + R"(, "flow_shift": 3, "solver_order": )" + std::to_string(order) +
                           R"(, "algorithm_type": ")" + algorithm + "\"}");
        CHECK(difference(run_all(*sampler, {.steps = 9}, start, target, noise, true), target).rel_l2 < 1e-5);
      }
}

TEST_CASE("first-order steps over flow levels are Euler's", "[samplers][flow]") {
  const auto target = random({1, 4, 4, 3}, 5), start = random({1, 4, 4, 3}, 6);
  for (const char* name : {"DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"}) {
    INFO(name);
    const auto solver = make(name, "{" + over_flow + R"(, "flow_shift": 2, "solver_order": 1})");
    auto expected = start;
    const auto sigmas = levels(*solver, {.steps = 8});
    for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
      auto next = expected.clone();
      const auto sigma = static_cast<float>(sigmas[i]);
      array(next) = array(expected) + static_cast<float>(sigmas[i + 1] - sigmas[i]) *
                                          ((0.6f * array(expected) - array(target)).tanh() + 0.2f * sigma);
      expected = next;
    }
    CHECK(difference(run_all(*solver, {.steps = 8}, start, target, {}, false), expected).rel_l2 < 1e-5);
  }
}

TEST_CASE("flow levels are those of the class and the release", "[samplers][flow]") {
  std::vector<double> from_alphas, from_one;
  for (int k = 0; k < 5; ++k) {
    const double ramp = 0.999 * k / 5;
    from_alphas.push_back(shifted(0.999 - ramp, 3.0));
    from_one.push_back(shifted(1.0 - ramp, 3.0));
  }
  from_one.front() -= 1e-6;  // at 1 there is no log-SNR
  from_alphas.push_back(0.0);
  from_one.push_back(0.0);
  const std::string keys = over_flow + R"(, "flow_shift": 3)";
  for (const char* name : {"DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"})
    CHECK(near(levels(*make(name, "{" + keys + "}"), {.steps = 5}), from_alphas));
  auto repeated = from_alphas;
  repeated.back() = repeated[4];
  CHECK(near(levels(*make("DEISMultistepScheduler", "{" + keys + "}"), {.steps = 5}), repeated));

  CHECK(near(levels(*make(unipc, "{" + keys + "}"), {.steps = 5}), from_one));
  for (const auto& [version, expected] : {std::pair{"0.35.2", &from_alphas},
                                          {"0.36.0", &from_alphas},
                                          {"0.37.0.dev0", &from_one},
                                          {"0.40.0.dev0", &from_one},
                                          {"1.0.0", &from_one},
                                          {"unknown", &from_one}}) {
    INFO(version);
    const auto sampler = make(unipc, "{" + keys + R"(, "_diffusers_version": ")" + version + "\"}");
    CHECK(near(levels(*sampler, {.steps = 5}), *expected));
  }
  // Timesteps are levels, rounded down.
  const auto run = make(unipc, "{" + keys + "}")->start({.steps = 5});
  for (std::size_t k = 0; k < 5; ++k)
    CHECK(run->timesteps()[k] == std::trunc(static_cast<float>(1000.0 * from_one[k])));
}

TEST_CASE("the shift of flow levels may be given by mu", "[samplers][flow]") {
  const std::string dynamic = over_flow + R"(, "use_dynamic_shifting": true, "flow_shift": 1)";
  for (const char* name : {"DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
                           "DEISMultistepScheduler", "UniPCMultistepScheduler"}) {
    INFO(name);
    const auto sampler = make(name, "{" + dynamic + "}");
    const auto fixed = make(name, "{" + over_flow + R"(, "flow_shift": 2})");
    CHECK(near(levels(*sampler, {.steps = 6, .mu = std::log(2.0)}), levels(*fixed, {.steps = 6})));
  }
  for (const char* name : {"DPMSolverMultistepScheduler", "DEISMultistepScheduler"}) {
    CHECK(near(levels(*make(name, "{" + dynamic + "}"), {.steps = 6}),
               levels(*make(name, "{" + over_flow + "}"), {.steps = 6})));
    expect_error<ArgumentError>([&] { make(name, "{" + over_flow + "}")->start({.steps = 6, .mu = 0.5}); },
                                {"mu", "use_dynamic_shifting"});
    expect_error<ArgumentError>(
        [&] {
          make(name, "{" + dynamic + R"(, "time_shift_type": "linear"})")->start({.steps = 6, .mu = 0.5});
        },
        {"mu", "exponential"});
  }
  expect_error<ArgumentError>([&] { make(unipc, "{" + dynamic + "}")->start({.steps = 6}); }, {"mu"});
  // Linear: the odds of a level are multiplied by mu itself.
  const std::vector<double> given{0.9, 0.5, 0.2};
  for (const auto& name : {flow_euler, unipc}) {
    const auto sampler = make(name, "{" + std::string(name == unipc ? over_flow + ", " : "") +
                                        R"("use_dynamic_shifting": true, "time_shift_type": "linear"})");
    auto expected = given;
    for (double& sigma : expected) sigma = 1.8 / (1.8 + (1.0 / sigma - 1.0));
    expected.push_back(0.0);
    CHECK(near(levels(*sampler, {.sigmas = given, .mu = 1.8}), expected));
  }
}

TEST_CASE("levels may end in a level of their own", "[samplers][flow]") {
  const std::vector<double> given{0.95, 0.5, 0.2};
  for (const auto& name : {flow_euler, unipc}) {
    INFO(name);
    const auto sampler =
        make(name, "{" + std::string(name == unipc ? over_flow + ", " : "") + R"("shift_terminal": 0.1})");
    // Distances from 1 grow by (1 - 0.1) / (1 - 0.2).
    CHECK(near(levels(*sampler, {.sigmas = given}), {1 - 0.05 * 1.125, 1 - 0.5 * 1.125, 0.1, 0.0}));
    expect_error<ArgumentError>([&] { sampler->start({.sigmas = {1.0}}); }, {"shift_terminal"});
    for (const char* wrong : {"1.0", "-0.1", "NaN"})
      expect_error<ConfigError>(
          [&] { make(name, "{" + over_flow + R"(, "shift_terminal": )" + wrong + "}"); }, {"shift_terminal"});
  }
  expect_error<ConfigError>([&] { make(unipc, R"({"shift_terminal": 0.1})"); },
                            {"shift_terminal", "use_flow_sigmas"});
}

TEST_CASE("flow matching follows the spacings of noise levels", "[samplers][flow]") {
  const auto plain = levels(*make(flow_euler, R"({"shift": 3})"), {.steps = 6});
  for (const auto& [key, spacing] : {std::pair{"use_karras_sigmas", SigmaSpacing::karras},
                                     {"use_exponential_sigmas", SigmaSpacing::exponential},
                                     {"use_beta_sigmas", SigmaSpacing::beta}}) {
    INFO(key);
    const std::string keys = std::string(R"("shift": 3, ")") + key + "\": true";
    auto expected = spaced_sigmas(spacing, plain[5], plain[0], 6);
    expected.push_back(0.0);
    CHECK(near(levels(*make(flow_euler, "{" + keys + "}"), {.steps = 6}), expected));
    expected = spaced_sigmas(spacing, 0.02, 0.9, 6);
    expected.push_back(0.0);
    CHECK(near(
        levels(*make(flow_euler, "{" + keys + R"(, "sigma_min": 0.02, "sigma_max": 0.9})"), {.steps = 6}),
        expected));
  }
  expect_error<ConfigError>(
      [] { make(flow_euler, R"({"use_karras_sigmas": true, "use_beta_sigmas": true})"); }, {"only one"});
}

TEST_CASE("inverted levels count from the noise", "[samplers][flow]") {
  const auto plain = make(flow_euler, R"({"shift": 2})"),
             inverted = make(flow_euler, R"({"shift": 2, "invert_sigmas": true})");
  auto expected = levels(*plain, {.steps = 5});
  for (double& sigma : expected) sigma = 1.0 - sigma;
  CHECK(near(levels(*inverted, {.steps = 5}), expected));
  const auto run = inverted->start({.steps = 5});
  for (std::size_t k = 0; k < 5; ++k) CHECK(std::abs(run->timesteps()[k] - 1000.0 * expected[k]) < 1e-3);
  // The velocity leads from noise to the sample.
  const auto target = random({1, 4}, 1), start = random({1, 4}, 2);
  auto x = start;
  for (Index i = 0; i < 5; ++i) {
    auto velocity = x.clone();
    array(velocity) = array(target) - array(start);
    x = run->step(velocity, i, x);
    CHECK(difference(run->pred_original_sample(), target).rel_l2 < 1e-5);
  }
  CHECK(difference(x, target).rel_l2 < 1e-5);
}

TEST_CASE("stochastic flow matching goes by the finished sample", "[samplers][flow]") {
  const auto sampler = make(flow_euler, R"({"shift": 2, "stochastic_sampling": true})");
  const auto target = random({1, 5, 5, 2}, 1), start = random({1, 5, 5, 2}, 2),
             noise = random({1, 5, 5, 2}, 3);
  int draws = 0;
  const NoiseSource source = [&](const Shape&) { return ++draws, noise; };
  const auto run = sampler->start({.steps = 4});
  auto x = start;
  for (Index i = 0; i < 4; ++i) {
    auto velocity = x.clone();
    array(velocity) = (array(x) - array(target)) / run->sigmas()[static_cast<std::size_t>(i)];
    x = run->step(velocity, i, x, source);
    if (i < 3) CHECK(difference(x, run->add_noise(target, noise, i + 1)).rel_l2 < 1e-5);
  }
  CHECK(draws == 4);
  CHECK(difference(x, target).rel_l2 < 1e-5);
  expect_error<ArgumentError>([&] { sampler->start({.steps = 4})->step(x, 0, x); }, {"noise source"});
}

TEST_CASE("given timesteps of flow matching are levels", "[samplers][flow]") {
  const std::vector<double> timesteps{1000, 820, 500, 130}, sigmas{1.0, 0.82, 0.5, 0.13};
  const auto newest = make(flow_euler, R"({"shift": 3})"),
             older = make(flow_euler, R"({"shift": 3, "_diffusers_version": "0.39.0"})");
  for (const auto* sampler : {&newest, &older})
    CHECK(near(levels(**sampler, {.timesteps = timesteps}), levels(**sampler, {.sigmas = sigmas})));
  const auto shifted_run = newest->start({.timesteps = timesteps}),
             kept = older->start({.timesteps = timesteps});
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(std::abs(shifted_run->timesteps()[k] - 1000.0 * shifted(sigmas[k], 3.0)) < 1e-3);
    CHECK(kept->timesteps()[k] == static_cast<float>(timesteps[k]));
  }
  // Together with levels they only name the timesteps, which since 0.40 follow the levels.
  const auto both = older->start({.timesteps = timesteps, .sigmas = {1.0, 0.7, 0.4, 0.1}});
  CHECK(both->timesteps()[1] == 820.0f);
  CHECK(std::abs(both->sigmas()[1] - shifted(0.7, 3.0)) < 1e-6);
  expect_error<ArgumentError>([&] { newest->start({.timesteps = {9, 1}, .sigmas = {0.5}}); }, {"2", "1"});
  expect_error<ArgumentError>([&] { newest->start({.timesteps = {1001, 1}}); }, {"timesteps", "1000"});
}

TEST_CASE("UniPC takes given flow levels and Karras' on straight paths", "[samplers][flow]") {
  const auto sampler = make(unipc, "{" + over_flow + R"(, "flow_shift": 2})");
  CHECK(near(levels(*sampler, {.sigmas = {0.9, 0.5, 0.1}}),
             {shifted(0.9, 2.0), shifted(0.5, 2.0), shifted(0.1, 2.0), 0.0}));
  expect_error<ArgumentError>([&] { make(unipc)->start({.sigmas = {9, 1}}); }, {"use_flow_sigmas"});

  const std::string karras =
      over_flow + R"(, "use_karras_sigmas": true, "sigma_max": 200, "sigma_min": 0.01)";
  auto expected = spaced_sigmas(SigmaSpacing::karras, 0.01, 200.0, 7);
  for (double& sigma : expected) sigma /= 1.0 + sigma;
  const auto run = make(unipc, "{" + karras + "}")->start({.steps = 7});
  for (std::size_t k = 0; k < 7; ++k) CHECK(run->timesteps()[k] == std::trunc(1000.0 * expected[k]));
  expected.push_back(0.0);
  CHECK(near(levels(*make(unipc, "{" + karras + "}"), {.steps = 7}), expected));
  expected.back() = expected[6];
  CHECK(near(levels(*make(unipc, "{" + karras + R"(, "final_sigmas_type": "sigma_min"})"), {.steps = 7}),
             expected));
  // Given ones count by their number, and by their ends where the file names none.
  CHECK(levels(*make(unipc, "{" + karras + "}"), {.sigmas = {0.9, 0.5, 0.1}}).size() == 4);
  const auto ends = make(unipc, "{" + over_flow + R"(, "use_karras_sigmas": true})");
  CHECK(near(levels(*ends, {.sigmas = {0.8, 0.25}}), {0.2, 0.8 / 1.8, 0.0}));
}

TEST_CASE("levels that straight paths do not have are refused", "[samplers][flow]") {
  // A schedule's own levels go beyond 1; the reference gives NaN.
  for (const char* name :
       {"DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DEISMultistepScheduler"})
    for (const char* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}) {
      INFO(name << " " << key);
      const std::string keys = over_flow + ", \"" + key + "\": true";
      expect_error<ArgumentError>([&] { make(name, "{" + keys + "}")->start({.steps = 5}); },
                                  {"use_flow_sigmas", "sigma_max"});
      CHECK_NOTHROW(
          make(name, "{" + keys + R"(, "sigma_max": 0.9, "sigma_min": 0.01})")->start({.steps = 5}));
    }
  expect_error<ArgumentError>(
      [] {
        make("DPMSolverMultistepScheduler", "{" + over_flow + "}")->start({.timesteps = {9, 1}});
      },
      {"flow"});
  expect_error<ConfigError>(
      [] { make("DPMSolverMultistepScheduler", "{" + over_flow + R"(, "flow_shift": 0})"); }, {"shift"});
  expect_error<ConfigError>(
      [] {
        make("DPMSolverMultistepScheduler",
             "{" + over_flow + R"(, "algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"})");
      },
      {"flow_prediction"});
  expect_error<ConfigError>([] { make(unipc, "{" + over_flow + R"(, "predict_x0": false})"); },
                            {"flow_prediction"});
  for (const char* name : {"DDIMScheduler", "EulerDiscreteScheduler", "PNDMScheduler", "EDMEulerScheduler"})
    expect_error<ConfigError>([&] { make(name, R"({"prediction_type": "flow_prediction"})"); },
                              {name, "flow_prediction", "v_prediction"});
}
