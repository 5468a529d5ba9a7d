#include "pipeline/second_pass.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "daguerre/ops/interpolate.hpp"
#include "pipeline/control_picture.hpp"
#include "pipeline/infotext_names.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

Extent second_size(const Hires& hires, const Task& first, Index multiple) {
  if (!(hires.scale > 0.0 && hires.scale <= 16.0))
    throw ArgumentError(pipeline_name, "the second pass is to be " + number(hires.scale) +
                                           " times as large, expected above 0, up to 16");
  const auto scaled = [&](Index side, double by) {
    const auto pixels = static_cast<Index>(static_cast<double>(side) * by);
    return std::max(multiple, pixels / multiple * multiple);
  };
  const auto ratio = [](Index side, Index of) { return static_cast<double>(side) / static_cast<double>(of); };
  const auto& [width, height] = std::pair(hires.width, hires.height);
  for (const auto& side : {width, height})
    if (side && (*side < 1 || *side > Image::max_side))
      throw ArgumentError(pipeline_name, "a side of " + std::to_string(*side) + " for the second pass");
  if (width && height) return {*height, *width};
  if (width) return {scaled(first.height, ratio(*width, first.width)), *width};
  if (height) return {*height, scaled(first.width, ratio(*height, first.height))};
  return {scaled(first.height, hires.scale), scaled(first.width, hires.scale)};
}

void check_sides(const Extent& size, Index multiple) {
  check_side("width of the second pass", size[1], multiple);
  check_side("height of the second pass", size[0], multiple);
}

}  // namespace

Tensor<float> resized_latents(const ops::Context& context, const Tensor<float>& x, Index height, Index width,
                              Hires::Mode mode) {
  const auto by = [&](ops::Interpolation interpolation) {
    return ops::interpolate(context, x, height, width, {.mode = interpolation});
  };
  switch (mode) {
    case Hires::Mode::latent_nearest:
      return by(ops::Interpolation::nearest);
    case Hires::Mode::latent_bilinear:
      return by(ops::Interpolation::bilinear);
    case Hires::Mode::latent_nearest_exact:
      return by(ops::Interpolation::nearest_exact);
    case Hires::Mode::latent_bicubic:
      return by(ops::Interpolation::bicubic);
    case Hires::Mode::pixels:
      break;
  }
  throw ArgumentError(pipeline_name, "latents are not made larger in pixels");
}

Task second_task(const Request& request, const Task& first, const Model& model,
                 std::shared_ptr<const samplers::Sampler> sampler) {
  const auto& hires = *request.hires;
  const auto& format = model.format();
  const Index multiple = format.space_ratio * model.denoiser().side_multiple;
  if (first.denoising_start || first.denoising_end)
    throw ArgumentError(pipeline_name, "a second pass needs a first one that runs from beginning to end");
  if (!(hires.strength >= 0.0 && hires.strength <= 1.0))
    throw ArgumentError(pipeline_name,
                        "the second pass has a strength of " + number(hires.strength) + ", expected 0 to 1");
  if (hires.steps && *hires.steps < 1)
    throw ArgumentError(pipeline_name, "the second pass has " + std::to_string(*hires.steps) + " steps");
  const auto size = second_size(hires, first, multiple);
  check_sides(size, multiple);
  auto task = first;
  task.height = size[0];
  task.width = size[1];
  task.steps = hires.steps.value_or(first.steps);
  task.strength = hires.strength;
  task.sampler = std::move(sampler);
  task.content = MaskedContent::original;
  task.latents = {};
  task.image = {};
  const bool looks =
      model.denoiser().in_channels != format.channels;  // at the picture, where it does not paint
  if (looks && !request.input.image.empty())
    task.image = picture_input(request.input.image, size[1], size[0]);
  if (!request.input.mask.empty()) task.mask = task_mask(request, size[1], size[0]);
  task.controls = controls_for(request, task);
  task.image_latents =
      Tensor<float>::zeros({1, size[0] / format.space_ratio, size[1] / format.space_ratio, format.channels});
  return task;
}

void begin_with(const ops::Context& context, const Hires& hires, const Model& model, const Task& first,
                const Tensor<float>& latents, Task& second) {
  if (hires.mode != Hires::Mode::pixels) {
    const auto& shape = second.image_latents.shape();
    second.image_latents = resized_latents(context, latents, shape[1], shape[2], hires.mode);
    return;
  }
  std::vector<Tensor<float>> pictures;
  for (Index n = 0; n < latents.dim(0); ++n) {
    auto picture = to_image(model.decode(context, latents.slice(n, n + 1), first));
    if (hires.upscaler) picture = hires.upscaler(picture);
    if (picture.empty()) throw ArgumentError(pipeline_name, "the upscaler gave an empty picture");
    pictures.push_back(picture_input(picture, second.width, second.height));
  }
  second.image_latents = {};
  second.image = concat_leading<float>(pictures);
}

std::vector<std::pair<std::string, std::string>> parameters_of(const Hires& hires, const Task& first) {
  std::vector<std::pair<std::string, std::string>> result;
  const auto add = [&](const char* key, std::string value) { result.emplace_back(key, std::move(value)); };
  // The web UI has one strength: there a second pass follows only what begins with noise.
  add(first.has_image() ? "Hires denoising strength" : "Denoising strength", number(hires.strength));
  if (hires.width || hires.height)
    add("Hires resize",
        std::to_string(hires.width.value_or(0)) + "x" + std::to_string(hires.height.value_or(0)));
  else
    add("Hires upscale", number(hires.scale));
  if (hires.steps) add("Hires steps", std::to_string(*hires.steps));
  if (hires.sampler) add("Hires sampler", *hires.sampler);
  add("Hires upscaler", hires.mode == Hires::Mode::pixels && hires.upscaler
                            ? (hires.upscaler_name.empty() ? "the host's own" : hires.upscaler_name)
                            : upscaler_name(hires.mode));
  return result;
}

}  // namespace daguerre
