#include "pipeline/latents.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/name.hpp"

namespace daguerre {
Tensor<float> affine(const Tensor<float>& x, float scale, float shift) {
  Tensor<float> result(x.shape());
  std::transform(x.data(), x.data() + x.size(), result.data(),
                 [=](float value) { return value * scale + shift; });
  return result;
}

void check_side(const char* name, Index side, Index multiple) {
  constexpr Index largest = 16384;
  if (side < multiple || side > largest || side % multiple != 0) {
    const Index possible = std::clamp(side, multiple, largest), below = possible / multiple * multiple;
    throw ArgumentError(
        pipeline_name,
        std::string(name) + " " + std::to_string(side) + " is not a multiple of " + std::to_string(multiple) +
            " from " + std::to_string(multiple) + " to " + std::to_string(largest) + "; nearest is " +
            std::to_string(std::min(below + (possible - below > multiple / 2 ? multiple : 0), largest)));
  }
}

Tensor<float> initial_noise(const Tensor<float>& given, const Shape& shape, NoiseStreams& noise,
                            FilmOrder order) {
  if (given.empty()) return noise.draw(NoiseStreams::Use::initial, shape, order);
  if (!(given.shape() == shape))
    throw ArgumentError(pipeline_name,
                        "latents " + to_string(given.shape()) + ", expected " + to_string(shape));
  if (!std::ranges::all_of(given.span(), [](float value) { return std::isfinite(value); }))
    throw ArgumentError(pipeline_name, "the latents hold NaN or infinity");
  return given;
}

Tensor<float> repeated(const Tensor<float>& x, Index batch) {
  if (x.dim(0) == batch) return x;
  return concat_leading<float>(std::vector<Tensor<float>>(static_cast<std::size_t>(batch), x));
}

}  // namespace daguerre
