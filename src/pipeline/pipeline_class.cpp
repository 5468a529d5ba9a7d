#include "pipeline/pipeline_class.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "pipeline/name.hpp"
#include "weights/text.hpp"

namespace daguerre {
namespace {

// Stable Diffusion's latents are not confined to [-1, 1], and the models were trained with timesteps counted
// from 1; the class for inpainting looks after another key in the place of clip_sample.
constexpr const char* for_pictures = R"({"steps_offset": 1, "clip_sample": false})";
constexpr const char* for_inpainting = R"({"steps_offset": 1, "skip_prk_steps": true})";

constexpr PipelineClass classes[] = {
    {"StableDiffusionPipeline", load_stable_diffusion_backend, for_pictures, nullptr},
    {"StableDiffusionImg2ImgPipeline", load_stable_diffusion_backend, for_pictures, nullptr},
    {"StableDiffusionInpaintPipeline", load_stable_diffusion_backend, for_inpainting, nullptr},
    // The reference says of it that StableDiffusionInpaintPipeline does the same.
    {"StableDiffusionInpaintPipelineLegacy", load_stable_diffusion_backend, for_pictures, nullptr},
    {"DiTPipeline", load_dit_backend, "{}", nullptr},
    {"DDPMPipeline", load_ddpm_backend, "{}", nullptr},
    {"DDIMPipeline", load_ddpm_backend, "{}", "DDIMScheduler"},
    {"PNDMPipeline", load_ddpm_backend, "{}", "PNDMScheduler"}};

/// A copy of `config` in which the keys of `overrides` hold, also where the file says of them that they were
/// defaults, which another class replaces by its own.
weights::Config overridden(const weights::Config& config, const char* overrides) {
  auto changes = nlohmann::json::parse(overrides);
  if (changes.empty()) return config;
  if (config.has("_use_default_values")) {
    auto defaults = config.require_strings("_use_default_values");
    std::erase_if(defaults, [&](const std::string& key) { return changes.contains(key); });
    changes["_use_default_values"] = defaults;
  }
  return config.with(changes.dump());
}

}  // namespace

const PipelineClass& pipeline_class_of(const ModelFolder& folder) {
  std::string known;
  for (const auto& pipeline : classes) {
    if (folder.class_name() == pipeline.name) return pipeline;
    known.append(known.empty() ? "" : ", ").append(pipeline.name);
  }
  throw ConfigError(pipeline_name, folder.index().source() + ": pipeline class \"" + folder.class_name() +
                                       "\" is not supported; supported are: " + known);
}

weights::Config scheduler_config(const ModelFolder& folder, const PipelineClass& pipeline) {
  const auto part = folder.part("scheduler");
  const auto config = weights::Config::load(part.folder / "scheduler_config.json");
  (void)config.class_name();  // checks that it is a name, though model_index.json decides
  const nlohmann::json class_change{
      {"_class_name", pipeline.scheduler_class ? pipeline.scheduler_class : part.class_name}};
  return overridden(config, pipeline.scheduler_overrides).with(class_change.dump());
}

}  // namespace daguerre
