#include "pipeline/families/families.hpp"

namespace daguerre::families {

Family latent_consistency() {
  auto family = stable_diffusion();
  family.name = "lcm";
  family.title = "Latent Consistency Model";
  family.classes = {{"LatentConsistencyModelPipeline"}, {"LatentConsistencyModelImg2ImgPipeline"}};
  family.defaults = {.steps = 4, .guidance_scale = 8.5f};
  return family;
}

}  // namespace daguerre::families
