#include "pipeline/enlargement.hpp"

#include <cmath>

#include "daguerre/ops/interpolate.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"
#include "pipeline/prepare.hpp"

namespace daguerre {
namespace {

/// The most that a model may be told.
int most_noise(const Family& family, const Components& components) {
  const auto last = static_cast<int>(components.noising->alphas_cumprod().size()) - 1;
  const int own = family.augmentation.most == 0 ? last : family.augmentation.most;
  return std::min(last, components.index.get("max_noise_level", own));
}

}  // namespace

std::shared_ptr<const samplers::Sampler> noising_scheduler(const ModelSource& source, std::string_view name) {
  const auto part = source.part(name, {"DDPMScheduler", "DDIMScheduler", "PNDMScheduler"});
  return samplers::SamplerRegistry::standard().make(scheduler_config(part));
}

int noise_level_of(const Task& task, const Family& family) {
  return task.noise_level.value_or(family.augmentation.level);
}

void check_enlargement(const Task& task, const Family& family, const Components& components) {
  const auto& small = task.low_resolution;
  if (!enlarges(family.tasks.joins)) {
    if (!small.empty() || task.noise_level)
      throw ArgumentError(pipeline_name, family.title + " makes no small picture large: it takes neither " +
                                             "one nor a noise level");
    return;
  }
  if (components.noising == nullptr)
    throw ArgumentError(pipeline_name, "the model has no \"" + family.augmentation.scheduler +
                                           "\" to noise the small picture with");
  if (small.empty())
    throw ArgumentError(pipeline_name, "this model makes a small picture large: it needs one");
  const auto batch = static_cast<Index>(task.prompts.size());
  if (small.rank() != 4 || (small.dim(0) != 1 && small.dim(0) != batch) || small.dim(3) != 3)
    throw ArgumentError(pipeline_name, "the small picture is " + to_string(small.shape()) +
                                           ", expected [1 or " + std::to_string(batch) +
                                           ", height, width, 3]");
  const int level = noise_level_of(task, family), most = most_noise(family, components);
  if (level < 0 || level > most)
    throw ArgumentError(
        pipeline_name, "noise_level is " + std::to_string(level) + ", expected 0 to " + std::to_string(most));
  if (!task.mask.empty()) throw ArgumentError(pipeline_name, family.title + " takes no mask");
}

Tensor<float> noised_low_resolution(const Preparation& of) {
  const auto large = ops::interpolate(of.context, of.task.low_resolution, of.shape[1], of.shape[2],
                                      {.mode = ops::Interpolation::bilinear, .align_corners = true});
  const auto pictures = repeated(large, of.batch());
  const auto noise = of.noise.draw(NoiseStreams::Use::initial, pictures.shape());
  const auto level = static_cast<std::size_t>(noise_level_of(of.task, of.family));
  const float alpha = of.components.noising->alphas_cumprod()[level];
  return samplers::mix(pictures, noise, {.alpha = std::sqrt(alpha), .sigma = std::sqrt(1.0f - alpha)});
}

}  // namespace daguerre
