#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/model.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/model_copy.hpp"

using namespace daguerre;
using nlohmann::json;
using test::ModelCopy;

namespace {

/// The scheduler's configuration as the model's pipeline leaves it.
json scheduler_of(const ModelCopy& model) {
  const auto source = ModelSource::open_folder(model.path());
  const auto families = FamilyRegistry::standard();
  const auto& family = families.of_class(source.class_name(), "test");
  return json::parse(
      scheduler_config(source, FamilyRegistry::pipeline_class(family, source.class_name())).dump());
}

}  // namespace

TEST_CASE("Stable Diffusion's pipelines correct their scheduler", "[pipeline][pipeline_class]") {
  const ModelCopy model("sd1");
  model.set("scheduler/scheduler_config.json",
            {{"steps_offset", 0}, {"clip_sample", true}, {"skip_prk_steps", false}});
  for (const auto* name : {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline",
                           "StableDiffusionInpaintPipelineLegacy"}) {
    INFO(name);
    model.set("model_index.json", {{"_class_name", name}});
    const auto config = scheduler_of(model);
    CHECK(config["steps_offset"] == 1);
    CHECK(config["clip_sample"] == false);
    CHECK(config["skip_prk_steps"] == false);
  }
  // The one for inpainting looks after other keys.
  model.set("model_index.json", {{"_class_name", "StableDiffusionInpaintPipeline"}});
  const auto config = scheduler_of(model);
  CHECK(config["steps_offset"] == 1);
  CHECK(config["clip_sample"] == true);
  CHECK(config["skip_prk_steps"] == true);
  CHECK(config["_class_name"] == "PNDMScheduler");
  CHECK(config["beta_schedule"] == "scaled_linear");
}

TEST_CASE("what a pipeline corrects is no default any more", "[pipeline][pipeline_class]") {
  const ModelCopy model("sd1");
  model.set("scheduler/scheduler_config.json",
            {{"_use_default_values", json::array({"steps_offset", "trained_betas", "clip_sample"})}});
  CHECK(scheduler_of(model)["_use_default_values"] == json::array({"trained_betas"}));
}

TEST_CASE("other pipelines leave their scheduler alone, or turn it into theirs",
          "[pipeline][pipeline_class]") {
  const ModelCopy model("ddpm");
  const json original = model.read("scheduler/scheduler_config.json");
  CHECK(scheduler_of(model) == original);
  // The index decides on the class.
  model.edit("scheduler/scheduler_config.json", [](json& config) { config.erase("_class_name"); });
  CHECK(scheduler_of(model)["_class_name"] == "DDPMScheduler");
  model.set("scheduler/scheduler_config.json", {{"_class_name", "PNDMScheduler"}});
  CHECK(scheduler_of(model)["_class_name"] == "DDPMScheduler");
  model.set("model_index.json", {{"_class_name", "DDIMPipeline"}});
  CHECK(scheduler_of(model)["_class_name"] == "DDIMScheduler");
  model.set("model_index.json", {{"_class_name", "PNDMPipeline"}});
  CHECK(scheduler_of(model)["_class_name"] == "PNDMScheduler");
  CHECK(scheduler_of(model)["beta_end"] == original["beta_end"]);
  model.set("scheduler/scheduler_config.json", {{"_class_name", 5}});
  test::expect_error<ConfigError>([&] { scheduler_of(model); }, {"scheduler_config.json", "_class_name"});
}
