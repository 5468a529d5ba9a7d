#pragma once

#include <functional>
#include <string_view>

#include "daguerre/ops/context.hpp"
#include "daguerre/pipeline/noise.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre {

/// What a run shows after each step. Valid only during the call.
struct DenoisingStep {
  Index index;  ///< from 0
  Index total;
  float timestep;
  /// After the step, scaled as the denoiser sees them; from Model::denoise finished as at the end.
  const Tensor<float>& latents;
  /// As the sampler left them: before what is kept was put back, and before they were finished.
  const Tensor<float>& stepped;
  const Tensor<float>& model_output;  ///< after guidance
  /// The sampler's guess of the result, finished likewise; may be empty.
  const Tensor<float>& pred_original_sample;
};
using StepObserver = std::function<void(const DenoisingStep&)>;

/// A model with all that steers it settled: the prediction (after guidance) for image number `image` of the
/// batch, `x[1, ...]`, scaled as the sampler wants it, at call `index` of the run, whose timestep is given.
using GuidedDenoiser =
    std::function<Tensor<float>(const Tensor<float>& x, float timestep, Index index, Index image)>;

/// The loop that every pipeline runs. The denoiser is called for one image at a time, so that an image cannot
/// depend on the batch it is in.
struct DenoisingLoop {
  GuidedDenoiser denoiser;
  std::string_view component = "unet";  ///< who speaks when a prediction is not finite
  /// What the latents become after a step whose successor is call `next_call`, if anything is done to them.
  std::function<Tensor<float>(const Tensor<float>& stepped, Index next_call)> revise{};
  StepObserver on_step{};
  FilmOrder order = FilmOrder::channels_first;  ///< in which a film's noise is drawn

  Index first_call = 0;
  Index end_call = -1;  ///< one past the last; -1: to the end of the run

  /// Takes `latents` through those calls of `run`. Throws NumericError when a prediction is not finite,
  /// Cancelled, and whatever the functions throw.
  Tensor<float> operator()(const ops::Context& context, samplers::SamplerRun& run, Tensor<float> latents,
                           NoiseStreams& noise) const;
};

}  // namespace daguerre
