// What only Stable Diffusion XL has: two text encoders, sizes, zeros for no prompt, and a refiner.
#include <filesystem>

#include "daguerre/daguerre.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/samplers/registry.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/guest.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

Pipeline load_xl(const char* name = "sdxl", const std::string& engine = "auto") {
  return Pipeline::load(golden(std::string("pipelines/") + name),
                        {.precision = Precision::float32, .engine = engine, .threads = 1});
}

Request order() {
  Request options;
  options.prompt = "a cat on a red carpet";
  options.sampling.steps = 3;
  options.size.width = 24;
  options.size.height = 16;
  options.sampling.seed = 7;
  options.output.decoded = true;
  return options;
}

}  // namespace

TEST_CASE("SDXL says what it is", "[pipeline][sdxl]") {
  const auto info = load_xl().info();
  CHECK(info.family == "sdxl");
  CHECK(info.class_name == "StableDiffusionXLPipeline");
  CHECK(info.takes_prompt);
  CHECK(info.takes_image);
  CHECK_FALSE(info.needs_image);
  CHECK(info.guidance_scale == 5.0f);
  CHECK(load_xl("sdxl_inpaint9").info().needs_mask);
}

TEST_CASE("all that SDXL is told makes a difference", "[pipeline][sdxl]") {
  const auto pipe = load_xl();
  const auto plain = pipe.generate(order());
  const auto differs = [&](const Request& options) {
    return difference(pipe.generate(options).latents, plain.latents).rel_l2 > 1e-5;
  };
  auto options = order();
  options.prompt_2 = "a dog";
  CHECK(differs(options));
  options = order();
  options.negative_prompt = "";  // encoded, where none given means zeros
  CHECK(differs(options));
  options.negative_prompt_2 = "blurry";
  CHECK(differs(options));
  options = order();
  options.micro.original_size = Extent{512, 768};
  CHECK(differs(options));
  options = order();
  options.micro.crop_top_left = {16, 0};
  CHECK(differs(options));
  options = order();
  options.micro.negative_original_size = Extent{16, 24};
  options.micro.negative_target_size = Extent{16, 24};
  CHECK_FALSE(differs(options));  // as they are by default
  options.micro.negative_target_size = Extent{8, 8};
  CHECK(differs(options));
}

TEST_CASE("a base model hands its latents to the refiner", "[pipeline][sdxl]") {
  const auto base = load_xl(), refiner = load_xl("sdxl_refiner");
  auto first = order();
  first.sampling.steps = 10;
  first.sampling.denoising_end = 0.8;
  int shown = 0;
  first.on_step = [&](const Step& step) {
    CHECK(step.total == 8);
    return ++shown > 0;
  };
  const auto begun = base.generate(first);
  CHECK(shown == 8);
  Request second = order();
  second.size = {};  // as the latents
  second.sampling.steps = 10;
  second.sampling.denoising_start = 0.8;
  second.input.latents = begun.latents;
  const auto done = refiner.generate(second);
  CHECK(done.images.at(0).width() == 24);
  CHECK(difference(done.latents, begun.latents).rel_l2 > 1e-3);
  // The aesthetic score is the refiner's to read.
  second.micro.aesthetic_score = 2.0;
  CHECK(difference(refiner.generate(second).latents, done.latents).rel_l2 > 1e-5);
  second.input.latents = {};
  expect_error<ArgumentError>([&] { refiner.generate(second); }, {"denoising_start needs the latents"});
  expect_error<ArgumentError>([&] { refiner.generate(order()); },
                              {"the model is a refiner", "model_index.json", "with a base model"});
}

TEST_CASE("stages can be run one by one, and text encoders dropped between them", "[pipeline][model]") {
  const auto pipe = load_xl();
  const auto& model = pipe.model();
  const auto whole = pipe.generate(order());
  ops::Context context = context_for("auto", 1);
  Task task;
  task.prompts = {{.text = "a cat on a red carpet"}};
  task.steps = 3;
  task.height = 16;
  task.width = 24;
  task.guidance.scale = 5.0f;
  task.sampler = samplers::SamplerRegistry::standard().make(
      Config::load(golden("pipelines/sdxl") / "scheduler" / "scheduler_config.json"));
  const auto conditions = model.condition(context, task, *model.guider(task));
  const auto rest = model.without_text_encoders();
  SeededNoise noise("torch-cpu", {7});
  const auto latents = rest.denoise(context, task, conditions, noise);
  CHECK(equal(latents, whole.latents));
  CHECK(equal(rest.decode(context, latents), whole.decoded));
  expect_error<ArgumentError>([&] { rest.condition(context, task, *rest.guider(task)); },
                              {"has no \"text_encoder"});
}
