#include "daguerre/pipeline/denoising.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "daguerre/samplers/registry.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

std::unique_ptr<samplers::SamplerRun> ddim_run(int steps) {
  const auto config = Config::parse(
      R"({"_class_name": "DDIMScheduler", "beta_schedule": "linear", "clip_sample": false})", "test");
  samplers::RunOptions options;
  options.steps = steps;
  return samplers::SamplerRegistry::standard().make(config)->start(options);
}

}  // namespace

TEST_CASE("the loop visits every timestep, shows each step and lets steps be revised",
          "[pipeline][denoising]") {
  const auto context = test::context_for("native");
  SeededNoise noise("torch-cpu", {1});
  const auto start = test::random_tensor({1, 2, 2, 3}, 5);
  std::vector<float> asked, shown;
  std::vector<Index> revised;
  DenoisingLoop loop;
  loop.denoiser = [&](const Tensor<float>& x, float timestep, Index, Index) {
    asked.push_back(timestep);
    return x;
  };
  loop.revise = [&](const Tensor<float>& stepped, Index next) {
    revised.push_back(next);
    return Tensor<float>::full(stepped.shape(), static_cast<float>(next));
  };
  loop.on_step = [&](const DenoisingStep& step) {
    CHECK(step.total == 3);
    CHECK(step.index == static_cast<Index>(shown.size()));
    CHECK(step.latents.data()[0] == static_cast<float>(step.index + 2));
    CHECK(step.stepped.data()[0] != step.latents.data()[0]);
    shown.push_back(step.timestep);
  };
  auto run = ddim_run(4);
  const std::vector<float> all(run->timesteps().begin(), run->timesteps().end());
  samplers::RunOptions options;
  const auto config = Config::parse(
      R"({"_class_name": "DDIMScheduler", "beta_schedule": "linear", "clip_sample": false})", "test");
  options.steps = 4;
  options.first_call = 1;
  run = samplers::SamplerRegistry::standard().make(config)->start(options);
  loop.first_call = 1;
  const auto end = loop(context, *run, start, noise);
  CHECK(asked == std::vector<float>(all.begin() + 1, all.end()));
  CHECK(shown == asked);
  CHECK(revised == std::vector<Index>{2, 3, 4});
  CHECK(end.data()[0] == 4.0f);
}

TEST_CASE("the denoiser is given one image at a time", "[pipeline][denoising]") {
  const auto context = test::context_for("native");
  SeededNoise noise("torch-cpu", {1, 2, 3});
  std::vector<Index> asked;
  DenoisingLoop loop;
  loop.denoiser = [&](const Tensor<float>& x, float, Index, Index image) {
    CHECK(x.shape() == Shape{1, 2, 2, 3});
    asked.push_back(image);
    return Tensor<float>::full(x.shape(), static_cast<float>(image));
  };
  loop.on_step = [&](const DenoisingStep& step) {
    REQUIRE(step.model_output.shape() == Shape{3, 2, 2, 3});
    for (Index n = 0; n < 3; ++n)
      for (const float value : step.model_output[n].span()) CHECK(value == static_cast<float>(n));
  };
  loop(context, *ddim_run(2), test::random_tensor({3, 2, 2, 3}, 5), noise);
  CHECK(asked == std::vector<Index>{0, 1, 2, 0, 1, 2});
}

TEST_CASE("the loop may end before the schedule does", "[pipeline][denoising]") {
  const auto context = test::context_for("native");
  SeededNoise noise("torch-cpu", {1});
  std::vector<Index> calls;
  DenoisingLoop loop;
  loop.denoiser = [&](const Tensor<float>& x, float, Index index, Index) {
    calls.push_back(index);
    return x;
  };
  loop.end_call = 2;
  loop.on_step = [](const DenoisingStep& step) { CHECK(step.total == 2); };
  loop(context, *ddim_run(5), test::random_tensor({1, 2, 2, 3}, 5), noise);
  CHECK(calls == std::vector<Index>{0, 1});
}

TEST_CASE("the loop stops at NaN and on request", "[pipeline][denoising]") {
  auto context = test::context_for("native");
  SeededNoise noise("torch-cpu", {1});
  const auto start = test::random_tensor({1, 2, 2, 3}, 5);
  DenoisingLoop loop;
  loop.component = "transformer";
  loop.denoiser = [](const Tensor<float>& x, float, Index, Index) {
    return Tensor<float>::full(x.shape(), std::numeric_limits<float>::quiet_NaN());
  };
  test::expect_error<NumericError>([&] { loop(context, *ddim_run(3), start, noise); },
                                   {"[transformer]", "NaN"});
  std::stop_source source;
  context.stop = source.get_token();
  int calls = 0;
  loop.denoiser = [&](const Tensor<float>& x, float, Index, Index) {
    if (++calls == 2) source.request_stop();
    return x;
  };
  test::expect_error<Cancelled>([&] { loop(context, *ddim_run(5), start, noise); }, {"stopped"});
  CHECK(calls == 2);
}
