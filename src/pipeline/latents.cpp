#include "pipeline/latents.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {}  // namespace

Tensor<float> affine(const Tensor<float>& x, float scale, float shift) {
  Tensor<float> result(x.shape());
  std::transform(x.data(), x.data() + x.size(), result.data(),
                 [=](float value) { return value * scale + shift; });
  return result;
}

void check_side(const char* name, Index side, Index multiple) {
  constexpr Index largest = 16384;
  if (side < multiple || side > largest || side % multiple != 0) {
    const Index below = std::clamp(side / multiple * multiple, multiple, largest);
    throw ArgumentError(
        pipeline_name,
        std::string(name) + " " + std::to_string(side) + " is not a multiple of " + std::to_string(multiple) +
            " from " + std::to_string(multiple) + " to " + std::to_string(largest) + "; nearest is " +
            std::to_string(std::min(below + (side - below > multiple / 2 ? multiple : 0), largest)));
  }
}

void check_run(int steps, const Guidance& guidance, double eta, const samplers::Sampler* sampler) {
  if (steps < 1)
    throw ArgumentError(pipeline_name, "steps is " + std::to_string(steps) + ", expected at least 1");
  if (!std::isfinite(guidance.scale))
    throw ArgumentError(pipeline_name,
                        "guidance scale is " + std::to_string(guidance.scale) + ", expected a finite number");
  if (!(guidance.rescale >= 0.0f && guidance.rescale <= 1.0f))
    throw ArgumentError(pipeline_name,
                        "guidance rescale is " + std::to_string(guidance.rescale) + ", expected 0 to 1");
  if (!(eta >= 0.0 && eta <= 1.0))
    throw ArgumentError(pipeline_name, "eta is " + std::to_string(eta) + ", expected 0 to 1");
  if (sampler == nullptr) throw ArgumentError(pipeline_name, "there is no sampler");
}

Tensor<float> initial_noise(const Tensor<float>& given, const Shape& shape, NoiseStreams& noise) {
  if (given.empty()) return noise.draw(NoiseStreams::Use::initial, shape);
  if (!(given.shape() == shape))
    throw ArgumentError(pipeline_name,
                        "latents " + to_string(given.shape()) + ", expected " + to_string(shape));
  if (!std::ranges::all_of(given.span(), [](float value) { return std::isfinite(value); }))
    throw ArgumentError(pipeline_name, "the latents hold NaN or infinity");
  return given;
}

Tensor<float> decode_pictures(const ops::Context& context, const Tensor<float>& latents,
                              const models::AutoencoderKlConfig& config,
                              const std::function<Tensor<float>(const Tensor<float>&)>& decode) {
  const ops::Profile::Span span(context, ops::Stage::decoder);
  const auto unscaled = affine(latents, 1.0f / config.scaling_factor, config.shift_factor);
  auto decoded = image_by_image(unscaled, [&](const Tensor<float>& x, Index) { return decode(x); });
  ops::check_finite(decoded, "vae");
  return decoded;
}

}  // namespace daguerre
