#include "weights/k_quants.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>

#include "daguerre/core/dtype.hpp"

namespace daguerre::weights {
namespace {

using Byte = std::uint8_t;

constexpr std::size_t k_block = 256;
constexpr float six_bits = 63.0f;
/// Parts whose numbers are all smaller are zeros.
constexpr float smallest = 1e-15f;

float as_half(Byte* at, float value) {
  const half stored(value);
  std::memcpy(at, &stored.bits, sizeof stored.bits);
  return static_cast<float>(stored);
}

/// To nearest, ties to even, within bounds. NaN, of a scale whose inverse overflows, is the lower bound.
float nearest(float value, float least, float most) {
  return value >= least ? std::nearbyint(std::min(value, most)) : least;
}

/// A part's codes times `scale`, less `minimum`, are its numbers.
struct ScaleAndMinimum {
  float scale = 0.0f, minimum = 0.0f;
};

/// The line through codes and numbers that fits best, tried for scales around the one that spans the numbers:
/// (`most` + offset) / span, the offset going up from `first` in `tries` steps of a tenth. Minima are not
/// above zero.
ScaleAndMinimum search(std::span<const float, 32> x, float most, float first, int tries) {
  std::array<float, 32> weights, codes;
  float squares = 0.0f;
  for (const float value : x) squares += value * value;
  const float typical = std::sqrt(squares / 32.0f);
  float sum_w = 0.0f, sum_wx = 0.0f;
  for (std::size_t i = 0; i < 32; ++i) {
    weights[i] = typical + std::fabs(x[i]);
    sum_w += weights[i];
    sum_wx += weights[i] * x[i];
  }
  const float greatest = *std::max_element(x.begin(), x.end());
  // The best minimum so far: what is tried next is counted from there, as in ggml.
  float least = std::min(*std::min_element(x.begin(), x.end()), 0.0f);
  const auto span = [&] { return greatest - least; };
  if (!(span() > 0.0f)) return {0.0f, -least};

  const auto encode = [&](float inverse) {
    for (std::size_t i = 0; i < 32; ++i) codes[i] = nearest(inverse * (x[i] - least), 0.0f, most);
  };
  const auto error_of = [&](float scale, float offset) {
    float error = 0.0f;
    for (std::size_t i = 0; i < 32; ++i) {
      const float difference = scale * codes[i] + offset - x[i];
      error += weights[i] * difference * difference;
    }
    return error;
  };
  float best_scale = 1.0f / (most / span());
  encode(most / span());
  float best_error = error_of(best_scale, least);
  for (int step = 0; step <= tries; ++step) {
    encode((first + 0.1f * static_cast<float>(step) + most) / span());
    float sum_l = 0.0f, sum_l2 = 0.0f, sum_xl = 0.0f;
    for (std::size_t i = 0; i < 32; ++i) {
      sum_l += weights[i] * codes[i];
      sum_l2 += weights[i] * codes[i] * codes[i];
      sum_xl += weights[i] * codes[i] * x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0.0f)) continue;
    float scale = (sum_w * sum_xl - sum_wx * sum_l) / determinant;
    float offset = (sum_l2 * sum_wx - sum_l * sum_xl) / determinant;
    if (offset > 0.0f) {
      offset = 0.0f;
      scale = sum_xl / sum_l2;
    }
    if (const float error = error_of(scale, offset); error < best_error) {
      best_error = error;
      best_scale = scale;
      least = offset;
    }
  }
  return {best_scale, -least};
}

/// Writes the scales and minima of eight parts, and the parts' codes with what these became.
std::array<Byte, k_block> encode_parts(const float* x, int most, float first, int tries, Byte* out) {
  std::array<ScaleAndMinimum, 8> parts;
  float greatest_scale = 0.0f, greatest_minimum = 0.0f;
  for (std::size_t i = 0; i < 8; ++i) {
    parts[i] = search(std::span<const float, 32>(x + 32 * i, 32), static_cast<float>(most), first, tries);
    greatest_scale = std::max(greatest_scale, parts[i].scale);
    greatest_minimum = std::max(greatest_minimum, parts[i].minimum);
  }
  const float d = as_half(out, greatest_scale / six_bits),
              dmin = as_half(out + 2, greatest_minimum / six_bits);
  const float to_scale = greatest_scale > 0.0f ? six_bits / greatest_scale : 0.0f;
  const float to_minimum = greatest_minimum > 0.0f ? six_bits / greatest_minimum : 0.0f;
  Byte* const packed = out + 4;
  std::fill_n(packed, 12, Byte{0});
  std::array<Byte, k_block> codes{};
  for (std::size_t i = 0; i < 8; ++i) {
    const auto scale = static_cast<int>(nearest(to_scale * parts[i].scale, 0.0f, six_bits));
    const auto minimum = static_cast<int>(nearest(to_minimum * parts[i].minimum, 0.0f, six_bits));
    if (i < 4) {
      packed[i] = static_cast<Byte>(packed[i] | scale);
      packed[i + 4] = static_cast<Byte>(packed[i + 4] | minimum);
    } else {
      packed[i + 4] = static_cast<Byte>((scale & 15) | (minimum & 15) << 4);
      packed[i - 4] = static_cast<Byte>(packed[i - 4] | scale >> 4 << 6);
      packed[i] = static_cast<Byte>(packed[i] | minimum >> 4 << 6);
    }
    const float own_scale = d * static_cast<float>(scale), own_minimum = dmin * static_cast<float>(minimum);
    if (own_scale == 0.0f) continue;
    for (std::size_t j = 32 * i; j < 32 * (i + 1); ++j)
      codes[j] = static_cast<Byte>(nearest((x[j] + own_minimum) / own_scale, 0.0f, static_cast<float>(most)));
  }
  return codes;
}

/// The lower halves of codes, of 32 and the next 32 together.
void store_halves(const std::array<Byte, k_block>& codes, Byte* out) {
  for (std::size_t i = 0; i < 128; ++i) {
    const std::size_t at = i / 32 * 64 + i % 32;
    out[i] = static_cast<Byte>((codes[at] & 15) | (codes[at + 32] & 15) << 4);
  }
}

/// A scale for codes from -32 to 31, as `search`, without a minimum. The extreme number is the lowest code.
float search_signed(const float* x) {
  constexpr std::size_t count = 16;
  const float extreme =
      *std::max_element(x, x + count, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  if (std::fabs(extreme) < smallest) return 0.0f;
  float best_scale = 0.0f, best_gain = 0.0f;
  const auto attempt = [&](int step, bool must) {
    const float inverse = -(32.0f + 0.1f * static_cast<float>(step)) / extreme;
    float sum_xl = 0.0f, sum_l2 = 0.0f;
    for (std::size_t i = 0; i < count; ++i) {
      const float code = nearest(inverse * x[i], -32.0f, 31.0f), weight = x[i] * x[i];
      sum_xl += weight * x[i] * code;
      sum_l2 += weight * code * code;
    }
    if (!(sum_l2 > 0.0f) || (!must && !(sum_xl * sum_xl > best_gain * sum_l2))) return;
    best_scale = sum_xl / sum_l2;
    best_gain = best_scale * sum_xl;
  };
  attempt(0, true);
  for (int step = -9; step <= 9; ++step)
    if (step != 0) attempt(step, false);
  return best_scale;
}

}  // namespace

void to_q4_k(const float* x, Byte* out) {
  store_halves(encode_parts(x, 15, -1.0f, 20, out), out + 16);
}

void to_q5_k(const float* x, Byte* out) {
  const auto codes = encode_parts(x, 31, -0.5f, 15, out);
  for (std::size_t j = 0; j < 32; ++j) {
    int bits = 0;
    for (std::size_t part = 0; part < 8; ++part) bits |= codes[32 * part + j] >> 4 << part;
    out[16 + j] = static_cast<Byte>(bits);
  }
  store_halves(codes, out + 48);
}

void to_q6_k(const float* x, Byte* out) {
  std::array<float, 16> scales;
  for (std::size_t i = 0; i < 16; ++i) scales[i] = search_signed(x + 16 * i);
  const float extreme = *std::max_element(scales.begin(), scales.end(),
                                          [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  std::fill_n(out, 210, Byte{0});
  if (std::fabs(extreme) < smallest) return;
  const float to_scale = -128.0f / extreme, d = as_half(out + 208, 1.0f / to_scale);
  std::array<Byte, k_block> codes;
  for (std::size_t i = 0; i < 16; ++i) {
    const float scale = nearest(to_scale * scales[i], -128.0f, 127.0f), own = d * scale;
    out[192 + i] = static_cast<Byte>(static_cast<int>(scale));
    for (std::size_t j = 16 * i; j < 16 * (i + 1); ++j)
      codes[j] = static_cast<Byte>(own == 0.0f ? 32.0f : nearest(x[j] / own, -32.0f, 31.0f) + 32.0f);
  }
  for (std::size_t i = 0; i < 64; ++i) {
    const Byte* const from = codes.data() + i / 32 * 128 + i % 32;
    Byte* const low = out + i / 32 * 64 + i % 32;
    low[0] = static_cast<Byte>((from[0] & 15) | (from[64] & 15) << 4);
    low[32] = static_cast<Byte>((from[32] & 15) | (from[96] & 15) << 4);
    out[128 + i] =
        static_cast<Byte>(from[0] >> 4 | from[32] >> 4 << 2 | from[64] >> 4 << 4 | from[96] >> 4 << 6);
  }
}

}  // namespace daguerre::weights
