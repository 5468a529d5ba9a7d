#include "weights/quantise.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "daguerre/core/error.hpp"
#include "weights/k_quants.hpp"

namespace daguerre::weights {
namespace {

using Byte = std::uint8_t;

void store_half(Byte* at, float value) {
  const half stored(value);
  std::memcpy(at, &stored.bits, sizeof stored.bits);
}

float inverse(float scale) {
  return scale == 0.0f ? 0.0f : 1.0f / scale;
}

/// A number that is cut to an integer from 0 to `most`. Where a scale is so small that its inverse overflows
/// there are infinities, and products of them with zero.
Byte cut(float value, float most) {
  return static_cast<Byte>(value >= 0.0f ? std::min(value, most) : 0.0f);
}

/// Rounded half away from zero, from -`most` to `most`.
int rounded(float value, float most) {
  const float size = std::fabs(value), whole = std::floor(size);
  const float result = std::min(whole + std::floor(2.0f * (size - whole)), most);
  return static_cast<int>(result >= 0.0f ? std::copysign(result, value) : 0.0f);
}

/// The first number of the largest size.
float extreme(const float* x, int count) {
  return *std::max_element(x, x + count, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

constexpr int small_block = 32;
using Codes = std::array<Byte, small_block>;

/// Numbers of both signs, the extreme one being the lowest code: `levels` is 16 or 32. gguf-py adds in double
/// and rounds to float32 before the cut.
float signed_codes(const float* x, int levels, Codes& codes) {
  const float d = extreme(x, small_block) / static_cast<float>(-levels / 2);
  const float id = inverse(d);
  const double middle = levels / 2 + 0.5;
  for (std::size_t j = 0; j < codes.size(); ++j)
    codes[j] = cut(static_cast<float>(static_cast<double>(x[j]) * static_cast<double>(id) + middle),
                   static_cast<float>(levels - 1));
  return d;
}

/// Numbers from the least one up.
std::pair<float, float> codes_above(const float* x, int levels, Codes& codes) {
  const auto [least, greatest] = std::minmax_element(x, x + small_block);
  const float d = (*greatest - *least) / static_cast<float>(levels - 1), minimum = *least;
  const float id = inverse(d);
  for (std::size_t j = 0; j < codes.size(); ++j)
    codes[j] = cut((x[j] - minimum) * id + 0.5f, static_cast<float>(levels - 1));
  return {d, minimum};
}

void store_low_bits(const Codes& codes, Byte* out) {
  for (std::size_t j = 0; j < 16; ++j)
    out[j] = static_cast<Byte>((codes[j] & 15) | (codes[j + 16] & 15) << 4);
}
void store_fifth_bits(const Codes& codes, Byte* out) {
  std::uint32_t bits = 0;
  for (std::size_t j = 0; j < codes.size(); ++j) bits |= static_cast<std::uint32_t>(codes[j] >> 4) << j;
  std::memcpy(out, &bits, sizeof bits);
}

void to_q4_0(const float* x, Byte* out) {
  Codes codes;
  store_half(out, signed_codes(x, 16, codes));
  store_low_bits(codes, out + 2);
}

void to_q4_1(const float* x, Byte* out) {
  Codes codes;
  const auto [d, minimum] = codes_above(x, 16, codes);
  store_half(out, d);
  store_half(out + 2, minimum);
  store_low_bits(codes, out + 4);
}

void to_q5_0(const float* x, Byte* out) {
  Codes codes;
  store_half(out, signed_codes(x, 32, codes));
  store_fifth_bits(codes, out + 2);
  store_low_bits(codes, out + 6);
}

void to_q5_1(const float* x, Byte* out) {
  Codes codes;
  const auto [d, minimum] = codes_above(x, 32, codes);
  store_half(out, d);
  store_half(out + 2, minimum);
  store_fifth_bits(codes, out + 4);
  store_low_bits(codes, out + 8);
}

void to_q8_0(const float* x, Byte* out) {
  const float d = std::fabs(extreme(x, small_block)) / 127.0f, id = inverse(d);
  store_half(out, d);
  for (int j = 0; j < small_block; ++j) out[2 + j] = static_cast<Byte>(rounded(x[j] * id, 127.0f));
}

constexpr int large_block = 256;

/// -1, 0 and 1 as 0, 1 and 2, and their scale.
float ternary(const float* x, std::array<Byte, large_block>& codes) {
  const float d = std::fabs(extreme(x, large_block)), id = inverse(d);
  for (std::size_t j = 0; j < codes.size(); ++j) codes[j] = static_cast<Byte>(rounded(x[j] * id, 1.0f) + 1);
  return d;
}

void to_tq1_0(const float* x, Byte* out) {
  std::array<Byte, large_block> codes;
  store_half(out + 52, ternary(x, codes));
  // Digits of base 3, the first one highest, as a fraction of 256 that is rounded up.
  const Byte* from = codes.data();
  const auto digits = [&](int width, int count) {
    for (int j = 0; j < width; ++j) {
      int number = 0;
      for (int n = 0; n < 5; ++n) number = 3 * number + (n < count ? from[n * width + j] : 0);
      out[j] = static_cast<Byte>((number * 256 + 242) / 243);
    }
    from += count * width;
    out += width;
  };
  digits(32, 5);
  digits(16, 5);
  digits(4, 4);
}

void to_tq2_0(const float* x, Byte* out) {
  std::array<Byte, large_block> codes;
  store_half(out + 64, ternary(x, codes));
  for (std::size_t i = 0; i < 64; ++i) {
    const Byte* const from = codes.data() + i / 32 * 128 + i % 32;
    out[i] = static_cast<Byte>(from[0] | from[32] << 2 | from[64] << 4 | from[96] << 6);
  }
}

using Quantise = void (*)(const float*, Byte*);

Quantise quantiser(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return to_q4_0;
    case DType::q4_1:
      return to_q4_1;
    case DType::q5_0:
      return to_q5_0;
    case DType::q5_1:
      return to_q5_1;
    case DType::q8_0:
      return to_q8_0;
    case DType::q4_k:
      return to_q4_k;
    case DType::q5_k:
      return to_q5_k;
    case DType::q6_k:
      return to_q6_k;
    case DType::tq1_0:
      return to_tq1_0;
    case DType::tq2_0:
      return to_tq2_0;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_quantise(DType dtype) {
  return quantiser(dtype) != nullptr;
}

void quantise(DType dtype, std::span<const float> values, std::span<std::byte> out) {
  const auto to_block = quantiser(dtype);
  if (to_block == nullptr)
    throw ArgumentError("quantise", "nothing can be rounded to " + std::string(name(dtype)));
  const auto block = block_of(dtype);
  const auto bytes = bytes_of(dtype, static_cast<Index>(values.size()));
  if (static_cast<Index>(out.size()) != bytes)
    throw ArgumentError("quantise", std::to_string(out.size()) + " bytes, expected " + std::to_string(bytes));
  auto* to = reinterpret_cast<Byte*>(out.data());
  const float* from = values.data();
  for (Index left = bytes / block.bytes; left > 0; --left, from += block.elements, to += block.bytes)
    to_block(from, to);
}

}  // namespace daguerre::weights
