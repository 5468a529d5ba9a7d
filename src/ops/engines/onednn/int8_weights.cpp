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

Int8Weights::Int8Weights(const Threads& threads, const Weight& weights)
    : values(weights.shape()), scales(static_cast<std::size_t>(weights.dim(0))), scaled_sums(scales.size()) {
  // As activations whose zero point is in the middle, which is then taken off.
  constexpr int middle = 128;
  constexpr Index least_piece = 65536;
  const auto& kernel = kernels::int8_active().f32;
  const Index size = weights.row_size();
  const Index grain = std::max<Index>(1, least_piece / std::max<Index>(size, 1));
  parallel_for(threads, weights.dim(0), grain, [&](Index begin, Index end) {
    std::vector<std::uint8_t> levels(static_cast<std::size_t>(size));
    std::vector<float> row(static_cast<std::size_t>(size));
    for (Index channel = begin; channel < end; ++channel) {
      weights.read(channel, channel + 1, row.data());
      const float* const from = row.data();
      std::int8_t* const to = values.data() + channel * size;
      float low = 0.0f, high = 0.0f;
      kernel.range(from, size, low, high);
      const float greatest = std::max(-low, high);
      // What is not finite in a file shows as NaN in what the channel computes.
      const float scale = kernels::Quantization::of_range(0.0f, greatest, 127.0f).scale;
      kernel.quantize(from, size, {scale, middle}, 255.0f, levels.data());
      std::int32_t sum = 0;
      for (Index i = 0; i < size; ++i) {
        to[i] = static_cast<std::int8_t>(levels[static_cast<std::size_t>(i)] - middle);
        sum += to[i];
      }
      scales[static_cast<std::size_t>(channel)] = scale;
      scaled_sums[static_cast<std::size_t>(channel)] = scale * static_cast<float>(sum);
    }
  });
  weights.release();
}

}  // namespace daguerre::ops
