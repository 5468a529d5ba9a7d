#include "pipeline/families/families.hpp"

namespace daguerre::families {

Family ddpm() {
  Family family;
  family.name = "ddpm";
  family.title = "DDPM";
  family.classes = {
      {"DDPMPipeline"}, {"DDIMPipeline", "{}", "DDIMScheduler"}, {"PNDMPipeline", "{}", "PNDMScheduler"}};
  family.parts = {{Part::Kind::denoiser, "unet", {"UNet2DModel"}}};
  family.tasks = {.classes = true, .guidance = false};
  family.condition = [](const ops::Context&, const Components&, const Task&, const Prompt& prompt, Side) {
    Conditioning result;
    if (prompt.label) result.labels = {*prompt.label};
    return result;
  };
  family.guider = [](const Guidance&, const DenoiserInfo&) { return std::make_shared<const NoGuidance>(); };
  return family;
}

}  // namespace daguerre::families
