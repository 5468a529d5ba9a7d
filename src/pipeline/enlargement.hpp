#pragma once

#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/preparation.hpp"

/// Super-resolution by diffusion: a small picture, noised, joins the channels of the large one.
namespace daguerre {

/// The scheduler of that name among a model's parts, whose alphas say how much noise a level is. Throws
/// ConfigError for one that is missing, or adds noise in another way than DDPM.
std::shared_ptr<const samplers::Sampler> noising_scheduler(const ModelSource& source, std::string_view name);

/// The task's noise level, or the family's.
int noise_level_of(const Task& task, const Family& family);

/// Throws ArgumentError for a small picture that is missing, or given to a model that takes none, and for
/// noise levels that the model was not told in training.
void check_enlargement(const Task& task, const Family& family, const Components& components);

/// The task's small picture, brought to the latents' size bilinearly, corners on corners, and noised, `[N, h,
/// w, 3]`. Draws.
Tensor<float> noised_low_resolution(const Preparation& of);

}  // namespace daguerre
