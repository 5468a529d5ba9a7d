#pragma once

#include <functional>

#include "daguerre/pipeline/model.hpp"

namespace daguerre {

/// What the second stage hands to the loop.
struct Start {
  Tensor<float> latents;  ///< what the first call is given, `[N, h, w, C]`
  Index first_call = 0;
  Index end_call = 0;               ///< one past the last
  Tensor<float> concat;             ///< `[N, h, w, C]`, channels that join the sample's; empty: none
  Tensor<float> reference_latents;  ///< `[N, h', w', C]`, of a picture that is looked at; empty: none
  std::function<Tensor<float>(const Tensor<float>& stepped, Index next_call)> revise{};
  std::shared_ptr<samplers::SamplerRun> run;
};

/// Throws ArgumentError for a task that a model of these parts cannot do.
void check_task(const Task& task, const Family& family, const Components& components);

/// How many calls of the denoiser `task` takes. Throws ArgumentError as `prepare` does.
Index calls_of(const Task& task, const Family& family, const Components& components);

/// The second stage, the same for all families: text to image begins with noise, image to image with a noisy
/// picture; what inpainting keeps is put back after each step or joins the sample's channels, as does the
/// picture of models that change one. Draws in the reference's order: the picture, the noise, the picture
/// without what will be painted.
Start prepare(const ops::Context& context, const Task& task, const Family& family,
              const Components& components, NoiseStreams& noise);

}  // namespace daguerre
