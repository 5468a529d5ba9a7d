#include "ops/engines/onednn/int8_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace daguerre::ops::kernels {

Quantization Quantization::of_range(float low, float high, float levels) noexcept {
  if (!std::isfinite(low) || !std::isfinite(high)) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  low = std::min(low, 0.0f);
  high = std::max(high, 0.0f);
  // Divided first: the difference of two huge numbers is infinite. Never so small that its inverse is.
  const float scale = std::max(high / levels - low / levels, 0x1p-100f);
  return {scale, std::min(std::nearbyint(-low / scale), levels)};
}

std::vector<const Int8Kernels*> int8_available() {
  std::vector<const Int8Kernels*> result;
  for (const auto* each : available()) {
#ifdef DAGUERRE_X86_KERNELS
    if (each == &avx512_bf16) result.push_back(&int8_avx512_bf16);
    if (each == &avx512) result.push_back(&int8_avx512);
    if (each == &avx2) result.push_back(&int8_avx2);
#endif
    if (each == &baseline) result.push_back(&int8_baseline);
  }
  return result;
}

const Int8Kernels& int8_active() noexcept {
#ifdef DAGUERRE_X86_KERNELS
  if (&active() == &avx512_bf16) return int8_avx512_bf16;
  if (&active() == &avx512) return int8_avx512;
  if (&active() == &avx2) return int8_avx2;
#endif
  return int8_baseline;
}

}  // namespace daguerre::ops::kernels
