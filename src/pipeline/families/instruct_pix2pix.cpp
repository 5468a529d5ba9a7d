#include "pipeline/families/families.hpp"

namespace daguerre::families {

Family instruct_pix2pix() {
  auto family = stable_diffusion();
  family.name = "instruct-pix2pix";
  family.title = "InstructPix2Pix";
  family.classes = {{"StableDiffusionInstructPix2PixPipeline"}};
  family.tasks = {.prompt = true, .image = true, .joins = Joins::edited};
  family.defaults = {.steps = 100};
  family.guider = [](const Guidance& guidance, const DenoiserInfo&) -> std::shared_ptr<const Guider> {
    // The reference guides where both scales ask for it.
    if (guidance.is_on() && guidance.image_scale >= 1.0f)
      return std::make_shared<const ImageTextGuidance>(guidance);
    return std::make_shared<const NoGuidance>();
  };
  return family;
}

}  // namespace daguerre::families
