#include "ops/int8_weights.hpp"

#include <algorithm>
#include <cmath>

namespace daguerre::ops {

Int8Weights::Int8Weights(const Tensor<float>& weights)
    : values(weights.shape()), scales(static_cast<std::size_t>(weights.dim(0))), scaled_sums(scales.size()) {
  const Index size = scales.empty() ? 0 : weights.size() / weights.dim(0);
  const float* from = weights.data();
  std::int8_t* to = values.data();
  for (std::size_t channel = 0; channel < scales.size(); ++channel, from += size, to += size) {
    float greatest = 0.0f;
    bool is_finite = true;
    for (Index i = 0; i < size; ++i) {
      greatest = std::max(greatest, std::abs(from[i]));
      is_finite = is_finite && std::isfinite(from[i]);
    }
    const float scale = std::max(greatest / 127.0f, 0x1p-100f);
    std::int32_t sum = 0;
    for (Index i = 0; i < size; ++i) {
      const auto rounded = is_finite ? static_cast<std::int32_t>(std::lrint(from[i] / scale)) : 0;
      to[i] = static_cast<std::int8_t>(std::clamp(rounded, -127, 127));
      sum += to[i];
    }
    // What is broken in a file must show in what it computes.
    scales[channel] = is_finite ? scale : std::nanf("");
    scaled_sums[channel] = scales[channel] * static_cast<float>(sum);
  }
}

}  // namespace daguerre::ops
