#include "daguerre/pipeline/denoising.hpp"

#include <optional>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "pipeline/latents.hpp"

namespace daguerre {

Tensor<float> DenoisingLoop::operator()(const ops::Context& context, samplers::SamplerRun& run,
                                        Tensor<float> latents, NoiseStreams& noise) const {
  const auto step_noise = [&](const Shape& shape) {
    return noise.draw(NoiseStreams::Use::step, shape, order);
  };
  const auto timesteps = run.timesteps();
  const Index calls = end_call < 0 ? run.calls() : end_call;
  for (Index i = first_call; i < calls; ++i) {
    context.check_stop();
    std::optional<ops::Profile::Span> span(std::in_place, context, ops::Stage::step);
    const float timestep = timesteps[static_cast<std::size_t>(i)];
    latents = run.perturb(latents, i, step_noise);
    const auto output =
        image_by_image(run.scale_model_input(latents, i),
                       [&](const Tensor<float>& x, Index image) { return denoiser(x, timestep, i, image); });
    ops::check_finite(output, component);
    const auto stepped = run.step(output, i, latents, step_noise);
    latents = revise ? revise(stepped, i + 1) : stepped;
    span.reset();  // the observer's own time is not the step's
    if (on_step)
      on_step({i - first_call, calls - first_call, timestep, latents, stepped, output,
               run.pred_original_sample()});
  }
  context.pool.trim();  // the denoiser's buffers are of no use to what follows
  return latents;
}

}  // namespace daguerre
