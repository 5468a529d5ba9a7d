#include "pipeline/families/families.hpp"

namespace daguerre::families {

Family stable_diffusion_upscale() {
  auto family = stable_diffusion();
  family.name = "sd-upscale";
  family.title = "Stable Diffusion's upscaler";
  family.classes = {{"StableDiffusionUpscalePipeline"}};
  // Whatever the file says: it was published without.
  family.parts.back().overrides = R"({"scaling_factor": 0.08333})";
  family.tasks = {.prompt = true, .joins = Joins::enlarged};
  family.defaults = {.steps = 75, .guidance_scale = 9.0f};
  family.augmentation = {.scheduler = "low_res_scheduler", .level = 20, .most = 350, .drawn_first = true};
  family.condition = [](const ops::Context& context, const Components& components, const Task& task,
                        const Prompt& prompt, Side side) {
    auto result = clip_condition(context, components, task, prompt, side);
    if (task.noise_level) result.labels = {*task.noise_level};
    return result;
  };
  return family;
}

}  // namespace daguerre::families
