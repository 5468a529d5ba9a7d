#include "pipeline/latents.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre {
namespace {

constexpr const char* who = "pipeline";

}  // namespace

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
        who, std::string(name) + " " + std::to_string(side) + " is not a multiple of " +
                 std::to_string(multiple) + " from " + std::to_string(multiple) + " to " +
                 std::to_string(largest) + "; nearest is " +
                 std::to_string(std::min(below + (side - below > multiple / 2 ? multiple : 0), largest)));
  }
}

void check_run(int steps, const Guidance& guidance, const samplers::Sampler* sampler) {
  if (steps < 1) throw ArgumentError(who, "steps is " + std::to_string(steps) + ", expected at least 1");
  if (!std::isfinite(guidance.scale) || !(guidance.rescale >= 0.0f && guidance.rescale <= 1.0f))
    throw ArgumentError(who, "guidance scale must be finite and guidance rescale from 0 to 1");
  if (sampler == nullptr) throw ArgumentError(who, "there is no sampler");
}

Tensor<float> initial_noise(const Tensor<float>& given, const Shape& shape, NoiseStreams& noise) {
  if (given.empty()) return noise.draw(NoiseStreams::Use::initial, shape);
  if (!(given.shape() == shape))
    throw ArgumentError(who, "latents " + to_string(given.shape()) + ", expected " + to_string(shape));
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
