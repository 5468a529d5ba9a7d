#include "daguerre/pipeline/denoising.hpp"

#include <array>
#include <optional>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "pipeline/latents.hpp"

namespace daguerre {

Tensor<float> DenoisingLoop::operator()(const ops::Context& context, samplers::SamplerRun& run,
                                        Index first_call, Tensor<float> latents, NoiseStreams& noise) const {
  const auto step_noise = [&](const Shape& shape) { return noise.draw(NoiseStreams::Use::step, shape); };
  const auto timesteps = run.timesteps();
  const Index calls = run.calls();
  for (Index i = first_call; i < calls; ++i) {
    context.check_stop();
    std::optional<ops::Profile::Span> span(std::in_place, context, ops::Stage::step);
    const float timestep = timesteps[static_cast<std::size_t>(i)];
    latents = run.perturb(latents, i, step_noise);
    const auto output =
        image_by_image(run.scale_model_input(latents, i),
                       [&](const Tensor<float>& x, Index image) { return denoiser(x, timestep, image); });
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

Tensor<float> guided_prediction(const Tensor<float>& x, const Guidance& guidance, ConditionedHalf conditioned,
                                const std::function<Tensor<float>(const Tensor<float>&)>& predict) {
  if (!guidance.is_on()) return predict(x);
  const auto output = predict(concat_leading<float>(std::array{x, x}));
  const Index batch = output.dim(0) / 2;
  const auto first = output.slice(0, batch), second = output.slice(batch, 2 * batch);
  return conditioned == ConditionedHalf::first ? apply_guidance(second, first, guidance)
                                               : apply_guidance(first, second, guidance);
}

}  // namespace daguerre
