#include "daguerre/samplers/registry.hpp"

#include <set>

#include "daguerre/core/eigen.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using daguerre::Config;
using daguerre::samplers::SamplerRegistry;
using daguerre::test::difference;
using daguerre::test::expect_error;

namespace {

Config parse(std::string_view json) {
  return Config::parse(json, "scheduler_config.json");
}

// As published with Stable Diffusion 1.5, 2.1 and an older 2.x folder.
constexpr const char* sd1 =
    R"({"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
  "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
  "clip_sample": false})";
constexpr const char* sd2 =
    R"({"_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "num_train_timesteps": 1000,
  "prediction_type": "v_prediction", "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
  "trained_betas": null})";
constexpr const char* dpm = R"({"_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.10.0",
  "algorithm_type": "dpmsolver++", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
  "dynamic_thresholding_ratio": 0.995, "lower_order_final": true, "num_train_timesteps": 1000,
  "predict_epsilon": true, "sample_max_value": 1.0, "solver_order": 2, "solver_type": "midpoint", "solver_p": null,
  "thresholding": false, "trained_betas": null, "interpolation_type": "linear", "lambda_min_clipped": -Infinity,
  "timestep_type": "discrete"})";

std::vector<float> timesteps(const std::shared_ptr<const samplers::Sampler>& sampler, int steps) {
  const auto run = sampler->start({.steps = steps});
  return {run->timesteps().begin(), run->timesteps().end()};
}

Tensor<float> one_step(const std::shared_ptr<const samplers::Sampler>& sampler) {
  const auto run = sampler->start({.steps = 10});
  const auto sample = Tensor<float>::full({1, 2, 2, 1}, 0.5f),
             output = Tensor<float>::full({1, 2, 2, 1}, 0.25f);
  run->step(output, 0, sample);
  return run->pred_original_sample().clone();
}

}  // namespace

TEST_CASE("published scheduler configurations are read", "[samplers][registry]") {
  const auto registry = SamplerRegistry::standard();
  for (const char* text : {sd1, sd2, dpm}) {
    const auto sampler = registry.make(parse(text));
    CHECK(sampler->alphas_cumprod().size() == 1000);
    for (const auto& name : registry.names()) {
      INFO(name);
      CHECK(registry.make(name, parse(text))->start({.steps = 10})->calls() >= 10);
    }
  }
}

TEST_CASE("a name takes over what its class knows of the folder's configuration", "[samplers][registry]") {
  const auto registry = SamplerRegistry::standard();

  SECTION("steps_offset stays, the spacing is the new class's default") {
    CHECK(timesteps(registry.make("ddim", parse(sd1)), 4) == std::vector<float>{751, 501, 251, 1});
    CHECK(timesteps(registry.make("euler", parse(sd1)), 4) == std::vector<float>{999, 666, 333, 0});
  }
  SECTION("a spacing that the file names stays") {
    const auto base = parse(sd1).with(R"({"timestep_spacing": "leading"})");
    CHECK(timesteps(registry.make("euler", base), 4) == std::vector<float>{751, 501, 251, 1});
  }
  SECTION("v_prediction stays") {
    const auto changed = one_step(registry.make("euler", parse(sd2)));
    const auto direct =
        one_step(registry.make(parse(sd2).with(R"({"_class_name": "EulerDiscreteScheduler"})")));
    const auto epsilon =
        one_step(registry.make("euler", parse(sd2).with(R"({"prediction_type": "epsilon"})")));
    CHECK(test::difference(changed, direct).max_abs == 0.0);
    CHECK(test::difference(changed, epsilon).max_abs > 0.1);
  }
  SECTION("clip_sample is dropped where the class does not know it, and stays where it does") {
    const auto base = parse(sd1).with(R"({"clip_sample": true})");
    const auto clipped = one_step(registry.make("ddim", base)),
               free = one_step(registry.make("ddim", parse(sd1)));
    CHECK(array(clipped).maxCoeff() <= 1.0f);
    CHECK(array(free).maxCoeff() > 1.0f);
    CHECK(test::difference(one_step(registry.make("pndm", base)), one_step(registry.make("pndm", parse(sd1))))
              .max_abs == 0.0);
  }
  SECTION("keys that diffusers lists as defaults of the old class are not taken over") {
    const auto base =
        parse(sd1).with(R"({"timestep_spacing": "leading", "_use_default_values": ["timestep_spacing"]})");
    CHECK(timesteps(registry.make("euler", base), 4) == std::vector<float>{999, 666, 333, 0});
  }
  SECTION("a name fixes the spacing of noise levels, whatever the folder has") {
    for (const char* key :
         {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"}) {
      INFO(key);
      const auto base = parse(sd1).with(std::string("{\"") + key + "\": true}");
      for (const auto& name : registry.names()) {
        INFO(name);
        if (!name.ends_with("-karras")) continue;
        const std::string plain = name.substr(0, name.size() - 7);
        CHECK(timesteps(registry.make(name, base), 7) == timesteps(registry.make(name, parse(sd1)), 7));
        CHECK(timesteps(registry.make(plain, base), 7) == timesteps(registry.make(plain, parse(sd1)), 7));
        CHECK(timesteps(registry.make(plain, base), 7) != timesteps(registry.make(name, base), 7));
      }
    }
    // Flow levels are the model's.
    const auto flow = parse(sd1).with(R"({"use_flow_sigmas": true, "prediction_type": "flow_prediction"})");
    CHECK(registry.make("unipc", flow)->start({.steps = 5})->sigmas()[0] < 1.0f);
  }
  SECTION("a name fixes what it says") {
    const auto base = parse(dpm).with(R"({"use_karras_sigmas": true, "algorithm_type": "sde-dpmsolver++"})");
    const auto plain = registry.make("dpm++2m", base), karras = registry.make("dpm++2m-karras", parse(dpm));
    CHECK(timesteps(plain, 10) == timesteps(registry.make(parse(dpm)), 10));
    CHECK(timesteps(karras, 10) == timesteps(registry.make(base), 10));
    const auto run = plain->start({.steps = 10});
    const auto zero = Tensor<float>::zeros({1, 1});
    CHECK_NOTHROW(run->step(zero, 0, zero));  // draws no noise
  }
}

TEST_CASE("what is not known is refused by name", "[samplers][registry]") {
  const auto registry = SamplerRegistry::standard();
  expect_error<ConfigError>([&] { registry.make(parse(R"({"_class_name": "MagicScheduler"})")); },
                            {"scheduler_config.json", "MagicScheduler", "EulerDiscreteScheduler"});
  expect_error<ConfigError>([&] { registry.make(parse("{}")); }, {"unknown scheduler class"});
  expect_error<ConfigError>([&] { registry.make("dpm++9", parse(sd1)); }, {"dpm++9", "dpm++2m-karras"});
  expect_error<ConfigError>([&] { registry.make(parse(sd1).with(R"({"use_magic": 3})")); },
                            {"use_magic", "3"});
  expect_error<ConfigError>([&] { registry.make(parse(sd1).with(R"({"beta_schedule": "wavy"})")); },
                            {"beta_schedule", "wavy", "scaled_linear"});
  expect_error<ConfigError>([&] { registry.make(parse(sd1).with(R"({"prediction_type": "sample"})")); },
                            {"PNDMScheduler", "prediction_type", "v_prediction"});
  expect_error<ConfigError>([&] { registry.make(parse(sd1).with(R"({"predict_epsilon": false})")); },
                            {"predict_epsilon"});
  expect_error<ConfigError>([&] { registry.make(parse(sd1).with(R"({"trained_betas": [0.1, 0.2]})")); },
                            {"trained_betas", "2", "1000"});
  expect_error<ConfigError>(
      [&] {
        registry.make(parse(sd1).with(R"({"_class_name": "EulerDiscreteScheduler", "use_beta_sigmas": true,
                                          "use_exponential_sigmas": true})"));
      },
      {"only one"});
  expect_error<ConfigError>(
      [&] {
        registry.make(parse(dpm).with(R"({"algorithm_type": "dpmsolver", "final_sigmas_type": "zero"})"));
      },
      {"final_sigmas_type", "sigma_min"});
}

TEST_CASE("keys of any scheduler class are left alone by those that do not take them",
          "[samplers][registry]") {
  const auto registry = SamplerRegistry::standard();
  // What a folder holds after its scheduler's class was changed again and again, by old and new releases.
  const auto leftovers =
      R"({"algorithm_type": "deis", "base_shift": 0.5, "beta_max": 20, "clip_denoised": true,
      "clip_predicted_image": true, "corrector_order": 2, "eta": 0.3, "euler_at_final": true, "flow_shift": 3.0,
      "gamma": 0.33, "invert_sigmas": true, "lambda_min_clipped": -Infinity, "mask_token_id": 3,
      "noise_sampler_seed": 1, "num_vec_classes": 4, "predict_x0": true, "rho": 7.0, "s": 0.008, "s_churn": 80,
      "scaler": 1.0, "scale_factors": [1, 2], "set_alpha_to_zero": true, "shift": 3.0, "shift_terminal": 0.1,
      "sigma_data": 0.5, "snr": 0.15, "solver_p": null, "stages": 3, "stochastic_sampling": true, "t_max": 0.8,
      "tau_func": null, "tensor_format": "pt", "time_shift_type": "linear", "timestep_values": null,
      "timesteps": 1000, "upscale_mode": "bicubic", "use_dynamic_shifting": true, "use_flow_sigmas": true,
      "use_lu_lambdas": true, "variance_type": "learned"})";
  const auto changed = parse(sd1).with(leftovers);
  CHECK(timesteps(registry.make(changed), 4) == timesteps(registry.make(parse(sd1)), 4));
  CHECK(difference(one_step(registry.make(changed)), one_step(registry.make(parse(sd1)))).max_abs == 0.0);
  for (const char* name :
       {"DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "TCDScheduler"})
    CHECK_NOTHROW(registry.make(changed.with(std::string("{\"_class_name\": \"") + name + "\"}")));
  // One that nobody knows is still an error.
  expect_error<ConfigError>([&] { registry.make(changed.with(R"({"time_shift_typ": "linear"})")); },
                            {"time_shift_typ"});
}

TEST_CASE("older and parallel names of classes are understood", "[samplers][registry]") {
  const auto registry = SamplerRegistry::standard();
  const auto of_class = [&](const char* name) {
    return registry.make(parse(sd2).with(std::string("{\"_class_name\": \"") + name + "\"}"));
  };
  CHECK(registry.knows_class("FlaxDDIMScheduler"));
  CHECK_FALSE(registry.knows_class("FlaxScheduler"));
  for (const char* name : {"FlaxDDIMScheduler", "DDIMParallelScheduler"})
    CHECK(difference(one_step(of_class(name)), one_step(registry.make(parse(sd2)))).max_abs == 0.0);
  CHECK_NOTHROW(of_class("DDPMParallelScheduler"));
}

TEST_CASE("files from before prediction_type say it by predict_epsilon", "[samplers][registry]") {
  const auto registry = SamplerRegistry::standard();
  const auto base = parse(sd1).with(R"({"_class_name": "DDIMScheduler"})");
  const auto sample = one_step(registry.make(base.with(R"({"prediction_type": "sample"})")));
  CHECK(difference(one_step(registry.make(base.with(R"({"predict_epsilon": false})"))), sample).max_abs ==
        0.0);
  CHECK(difference(one_step(registry.make(base.with(R"({"predict_epsilon": true})"))), sample).max_abs > 0.1);
  // The newer key decides where both are there.
  CHECK(difference(
            one_step(registry.make(base.with(R"({"predict_epsilon": false, "prediction_type": "epsilon"})"))),
            one_step(registry.make(base)))
            .max_abs == 0.0);
}

TEST_CASE("a host adds its own samplers", "[samplers][registry]") {
  auto registry = SamplerRegistry::standard();
  int made = 0;
  registry.add("HouseScheduler", [&](const Config& config) {
    ++made;
    return registry.make(
        "ddim", parse(sd1).with("{\"steps_offset\": " + std::to_string(config.get("house_offset", 0)) + "}"));
  });
  registry.add_name("house", "HouseScheduler", R"({"house_offset": 7})");
  CHECK(timesteps(registry.make("house", parse(sd1)), 2) == std::vector<float>{507, 7});
  CHECK(made == 1);
  CHECK_FALSE(SamplerRegistry::standard().knows_class("HouseScheduler"));
}
