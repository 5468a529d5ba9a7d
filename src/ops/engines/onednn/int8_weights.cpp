#include "ops/engines/onednn/int8_weights.hpp"

#include <algorithm>

#include "ops/engines/onednn/int8_kernels.hpp"

namespace daguerre::ops {

float int8_activation_levels() noexcept {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni") ? 255.0f : 127.0f;
#else
  return 255.0f;
#endif
}

void Int8Weights::round(const Weight& weights, Index begin, Index end, std::int8_t* values, float* scales,
                        float* scaled_sums) {
  // As activations whose zero point is in the middle, which is then taken off.
  constexpr int middle = 128;
  const auto& kernel = kernels::int8_active().f32;
  const Index size = weights.row_size();
  std::vector<std::uint8_t> levels(static_cast<std::size_t>(size));
  std::vector<float> row(static_cast<std::size_t>(size));
  for (; begin < end; ++begin, values += size) {
    weights.read(begin, begin + 1, row.data());
    float low = 0.0f, high = 0.0f;
    kernel.range(row.data(), size, low, high);
    const float greatest = std::max(-low, high);
    // What is not finite in a file shows as NaN in what the channel computes.
    const float scale = kernels::Quantization::of_range(0.0f, greatest, 127.0f).scale;
    kernel.quantize(row.data(), size, {scale, middle}, 255.0f, levels.data());
    std::int32_t sum = 0;
    for (Index i = 0; i < size; ++i) {
      values[i] = static_cast<std::int8_t>(levels[static_cast<std::size_t>(i)] - middle);
      sum += values[i];
    }
    *scales++ = scale;
    *scaled_sums++ = scale * static_cast<float>(sum);
  }
}

Int8Weights::Int8Weights(const Threads& threads, const Weight& weights)
    : values(weights.shape()), scales(static_cast<std::size_t>(weights.dim(0))), scaled_sums(scales.size()) {
  constexpr Index least_piece = 65536;
  const Index size = weights.row_size();
  const Index grain = std::max<Index>(1, least_piece / std::max<Index>(size, 1));
  std::int8_t* const to = values.data();
  parallel_for(threads, weights.dim(0), grain, [&](Index begin, Index end) {
    round(weights, begin, end, to + begin * size, scales.data() + begin, scaled_sums.data() + begin);
  });
  weights.release();
}

}  // namespace daguerre::ops
