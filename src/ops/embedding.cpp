#include <algorithm>
#include <cmath>
#include <numbers>

#include "daguerre/ops/embedding-inl.hpp"

namespace daguerre::ops {
namespace {

/// exp as the reference's vectorised float32 code computes it: range reduction by ln 2 in two parts, a
/// polynomial of degree 6, all in fused multiply-adds. Correct to one unit in the last place, as std::exp is,
/// but not the same unit, and a frequency that is off by one moves the angle at t = 999 by 6e-5.
float exp_of_reference(float x) {
  const float n = std::nearbyint(x * 1.442695041f);
  float r = std::fma(n, -0.693145751953125f, x);
  r = std::fma(n, -1.428606765330187e-06f, r);
  float p = 0.00019852762f;
  for (const float coefficient : {0.0013930436f, 0.008333361f, 0.041666485f, 0.16666667f, 0.5f})
    p = std::fma(p, r, coefficient);
  return std::ldexp(1.0f + std::fma(r * r, p, r), static_cast<int>(n));
}

void check_timestep_embedding(Index width, const TimestepEmbeddingOptions& options) {
  if (width < 2 || options.freq_shift >= static_cast<float>(width / 2))
    throw ArgumentError("timestep_embedding", "a width of " + std::to_string(width) + " is too small");
}

}  // namespace

Tensor<float> timestep_embedding(std::span<const float> timesteps, Index width,
                                 const TimestepEmbeddingOptions& options) {
  check_timestep_embedding(width, options);
  const Index half_width = width / 2;
  auto result = Tensor<float>::zeros({static_cast<Index>(timesteps.size()), width});
  const float divisor = static_cast<float>(half_width) - options.freq_shift;
  // The reference multiplies by -ln(max_period) as a Python float cast to float32, then divides, then takes
  // exp.
  const auto log_period = static_cast<float>(-std::log(static_cast<double>(options.max_period)));
  for (std::size_t n = 0; n < timesteps.size(); ++n) {
    float* row = result.data() + static_cast<Index>(n) * width;
    for (Index i = 0; i < half_width; ++i) {
      const float frequency = exp_of_reference(log_period * static_cast<float>(i) / divisor);
      const float angle = options.scale * (timesteps[n] * frequency);
      row[options.flip_sin_to_cos ? i + half_width : i] = std::sin(angle);
      row[options.flip_sin_to_cos ? i : i + half_width] = std::cos(angle);
    }
  }
  return result;
}

Tensor<float> timestep_embedding(const Context& context, std::span<const float> timesteps, Index width,
                                 const TimestepEmbeddingOptions& options) {
  const Profile::Scope scope(context, OpKind::embedding);
  check_timestep_embedding(width, options);
  return with_operations(context, [&](const Operations& engine) {
    return engine.timestep_embedding(context, timesteps, width, options);
  });
}

Tensor<float> Operations::timestep_embedding(const Context&, std::span<const float> timesteps, Index width,
                                             const TimestepEmbeddingOptions& options) const {
  return ops::timestep_embedding(timesteps, width, options);
}

Tensor<float> fourier_embedding(const Context& context, std::span<const float> times,
                                const Tensor<float>& frequencies, bool flip_sin_to_cos) {
  const Profile::Scope scope(context, OpKind::embedding);
  if (frequencies.rank() != 1)
    throw ArgumentError("fourier_embedding",
                        "frequencies " + to_string(frequencies.shape()) + ", expected a vector");
  return with_operations(context, [&](const Operations& engine) {
    return engine.fourier_embedding(context, times, frequencies, flip_sin_to_cos);
  });
}

Tensor<float> Operations::fourier_embedding(const Context&, std::span<const float> times,
                                            const Tensor<float>& frequencies, bool flip_sin_to_cos) const {
  const Index half = frequencies.size();
  Tensor<float> result({static_cast<Index>(times.size()), 2 * half});
  float* out = result.data();
  for (const float time : times) {
    for (Index i = 0; i < half; ++i) {
      const float angle = time * frequencies.data()[i] * 2.0f * std::numbers::pi_v<float>;
      const float sine = std::sin(angle), cosine = std::cos(angle);
      out[i] = flip_sin_to_cos ? cosine : sine;
      out[half + i] = flip_sin_to_cos ? sine : cosine;
    }
    out += 2 * half;
  }
  return result;
}

Tensor<float> sincos_positions_2d(Index channels, Index height, Index width, Index base_size,
                                  double interpolation_scale) {
  if (channels < 4 || channels % 4 != 0 || height < 1 || width < 1 || base_size < 1 ||
      !(interpolation_scale > 0.0))
    throw ArgumentError("sincos_positions_2d", std::to_string(channels) + " channels for a grid of " +
                                                   std::to_string(height) + " x " + std::to_string(width) +
                                                   " are not possible");
  // The reference keeps coordinates in float32.
  const auto coordinate = [&](Index i, Index count) {
    const auto step = static_cast<float>(static_cast<double>(count) / static_cast<double>(base_size));
    return static_cast<double>(static_cast<float>(i) / step / static_cast<float>(interpolation_scale));
  };
  const Index quarter = channels / 4;
  Tensor<float> result({checked_multiply(height, width), channels});
  float* out = result.data();
  for (Index row = 0; row < height; ++row)
    for (Index column = 0; column < width; ++column)
      for (const double position : {coordinate(column, width), coordinate(row, height)}) {
        for (Index i = 0; i < quarter; ++i) {
          const double angle =
              position / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(quarter));
          out[i] = static_cast<float>(std::sin(angle));
          out[quarter + i] = static_cast<float>(std::cos(angle));
        }
        out += 2 * quarter;
      }
  return result;
}

Tensor<float> sincos_positions_3d(const Context& context, Index channels, Index frames, Index height,
                                  Index width, double spatial_scale, double temporal_scale) {
  if (channels < 16 || channels % 16 != 0 || frames < 1 || height < 1 || width < 1 ||
      !(spatial_scale > 0.0) || !(temporal_scale > 0.0))
    throw ArgumentError("sincos_positions_3d",
                        std::to_string(channels) + " channels for " + std::to_string(frames) + " frames of " +
                            std::to_string(height) + " x " + std::to_string(width) + " are not possible");
  // A row for each place on an axis; the reference keeps the places in float32.
  const auto axis = [](Index count, Index width_of_axis, double scale) {
    Tensor<float> table({count, width_of_axis});
    float* out = table.data();
    const Index half = width_of_axis / 2;
    for (Index place = 0; place < count; ++place, out += width_of_axis) {
      const auto position = static_cast<double>(static_cast<float>(place) / static_cast<float>(scale));
      for (Index i = 0; i < half; ++i) {
        const double angle = position / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(half));
        out[i] = static_cast<float>(std::sin(angle));
        out[half + i] = static_cast<float>(std::cos(angle));
      }
    }
    return table;
  };
  const Index in_time = channels / 4, in_space = channels / 8 * 3;
  const auto times = axis(frames, in_time, temporal_scale);
  const auto columns = axis(width, in_space, spatial_scale), rows = axis(height, in_space, spatial_scale);
  auto result = context.empty<float>({frames * height * width, channels});
  float* const to = result.data();
  parallel_for(context.threads, frames * height, 1, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line)
      for (Index column = 0; column < width; ++column) {
        float* out = to + (line * width + column) * channels;
        out = std::copy_n(times.data() + line / height * in_time, in_time, out);
        out = std::copy_n(columns.data() + column * in_space, in_space, out);
        std::copy_n(rows.data() + line % height * in_space, in_space, out);
      }
  });
  return result;
}

template class EmbeddingTable<float>;
template class EmbeddingTable<bfloat16>;

template Tensor<float> embedding_lookup(const Tensor<float>&, std::span<const std::int32_t>);
template Tensor<bfloat16> embedding_lookup(const Tensor<bfloat16>&, std::span<const std::int32_t>);
template Tensor<float> embedding_lookup(const Context&, const Tensor<float>&, std::span<const std::int32_t>);
template Tensor<bfloat16> embedding_lookup(const Context&, const Tensor<bfloat16>&,
                                           std::span<const std::int32_t>);

}  // namespace daguerre::ops
