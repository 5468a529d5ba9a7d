#include "pipeline/families/families.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {

Family dit() {
  Family family;
  family.name = "dit";
  family.title = "DiT";
  family.classes = {{"DiTPipeline"}};
  family.parts = {{Part::Kind::denoiser, "transformer", {"DiTTransformer2DModel", "Transformer2DModel"}},
                  {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}}};
  family.tasks = {.classes = true};
  family.defaults = {.guidance_scale = 4.0f};
  family.condition = [](const ops::Context&, const Components& components, const Task&, const Prompt& prompt,
                        Side side) {
    const auto& denoiser = components.denoiser->info();
    if (side == Side::negative && !denoiser.null_class)
      throw ArgumentError(pipeline_name, "this model has no null class: guidance must be 1");
    Conditioning result;
    result.labels = {side == Side::positive ? *prompt.label : *denoiser.null_class};
    return result;
  };
  return family;
}

}  // namespace daguerre::families
