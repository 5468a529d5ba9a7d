#include "pipeline/second_pass.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "daguerre/ops/resample.hpp"
#include "pipeline/control_picture.hpp"
#include "pipeline/infotext_names.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

/// What the four pixels around a place between the second and the third weigh (Keys 1981 with a = -0.75, as
/// torch has it).
std::array<float, 4> cubic_weights(float t) {
  constexpr float a = -0.75f;
  const auto near = [](float x) { return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f; };
  const auto far = [](float x) { return ((a * x - 5.0f * a) * x + 8.0f * a) * x - 4.0f * a; };
  return {far(t + 1.0f), near(t), near(1.0f - t), far(2.0f - t)};
}

/// The positions along one side that a new one is made of, and their weights.
struct Taps {
  std::array<Index, 4> from{};
  std::array<float, 4> weight{};
};

std::vector<Taps> taps_for(Index size, Index count, Hires::Mode mode) {
  const float scale = static_cast<float>(size) / static_cast<float>(count);
  std::vector<Taps> result;
  for (Index i = 0; i < count; ++i) {
    auto& taps = result.emplace_back();
    const float centre = (static_cast<float>(i) + 0.5f) * scale;
    if (mode == Hires::Mode::latent_nearest_exact) {
      taps.from[0] = std::min(static_cast<Index>(std::floor(centre)), size - 1);
      taps.weight[0] = 1.0f;
      continue;
    }
    const float place = centre - 0.5f, whole = std::floor(place);
    taps.weight = cubic_weights(place - whole);
    for (Index k = 0; k < 4; ++k)
      taps.from[static_cast<std::size_t>(k)] =
          std::clamp<Index>(static_cast<Index>(whole) - 1 + k, 0, size - 1);
  }
  return result;
}

Tensor<float> tapped(const Tensor<float>& x, Index height, Index width, Hires::Mode mode) {
  const auto rows = taps_for(x.dim(1), height, mode), columns = taps_for(x.dim(2), width, mode);
  const Index channels = x.dim(3);
  Tensor<float> result({x.dim(0), height, width, channels});
  float* to = result.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (const auto& row : rows)
      for (const auto& column : columns)
        for (Index c = 0; c < channels; ++c) {
          float sum = 0.0f;
          for (std::size_t i = 0; i < 4; ++i) {
            if (row.weight[i] == 0.0f) continue;
            const float* const line = x.data() + ((n * x.dim(1) + row.from[i]) * x.dim(2)) * channels + c;
            float along = 0.0f;
            for (std::size_t k = 0; k < 4; ++k)
              if (column.weight[k] != 0.0f) along += line[column.from[k] * channels] * column.weight[k];
            sum += along * row.weight[i];
          }
          *to++ = sum;
        }
  return result;
}

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
  switch (mode) {
    case Hires::Mode::latent_nearest:
      return ops::upsample_nearest<float>(context, x, height, width);
    case Hires::Mode::latent_bilinear:
      return ops::resize_bilinear(context, x, height, width);
    case Hires::Mode::latent_nearest_exact:
    case Hires::Mode::latent_bicubic:
      return tapped(x, height, width, mode);
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
