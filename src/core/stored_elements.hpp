#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/error.hpp"

/// Elements as files store them, converted to those of tensors.
namespace daguerre {
namespace stored_elements {

// True when `value`, its fraction cut off, fits into the integer type `To`.
template <class To, class From>
bool fits(From value) noexcept {
  if constexpr (std::is_floating_point_v<From>) {
    // 2^(bits-1) is exact in every floating type, max() is not; nor is min() - 1, whence the two bounds
    // below. NaN fails all comparisons.
    const From limit = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From(2);
    return (value >= -limit || value > -limit - From(1)) && value < limit;
  } else {
    return std::in_range<To>(value);
  }
}

/// 8-bit floating-point numbers of the OCP 8-bit Floating Point Specification 1.0: E4M3, which has no
/// infinities and one NaN of each sign, and E5M2, the upper byte of a binary16.
struct F8E4M3 {
  std::uint8_t bits;
  explicit operator float() const noexcept {
    // As half's conversion: into float32's fields, then scaled by 2^(127 - 7), exact for subnormal numbers
    // too.
    const float magnitude = std::bit_cast<float>(static_cast<std::uint32_t>(bits & 0x7Fu) << 20) * 0x1p120f;
    auto word = std::bit_cast<std::uint32_t>(magnitude);
    word |= (bits & 0x7Fu) == 0x7Fu ? 0x7FC00000u : 0u;
    return std::bit_cast<float>(word | static_cast<std::uint32_t>(bits & 0x80u) << 24);
  }
};
struct F8E5M2 {
  std::uint8_t bits;
  explicit operator float() const noexcept {
    half wide;
    wide.bits = static_cast<std::uint16_t>(bits << 8);
    return static_cast<float>(wide);
  }
};

// Converts one element; false when an integer type cannot hold it.
template <class To, class From>
bool convert_one(From value, To& out) noexcept {
  if constexpr (std::is_same_v<To, From>) {
    out = value;
    return true;
  } else if constexpr (!std::is_arithmetic_v<From>) {
    return convert_one(static_cast<float>(value), out);  // half, bfloat16, F8
  } else if constexpr (!std::is_integral_v<To>) {
    out = convert<To>(value);
    return true;
  } else {
    const bool fit = fits<To>(value);
    out = fit ? static_cast<To>(value) : To{};
    return fit;
  }
}

// Elements are loaded with memcpy: the format allows odd offsets. The loop stays free of branches, so that
// it vectorises; whether all elements fit is gathered and looked at once.
template <class From, class To>
bool convert_all(const std::byte* in, To* out, std::size_t count) noexcept {
  bool all_fit = true;
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, in + i * sizeof(From), sizeof(From));
    all_fit &= convert_one(value, out[i]);
  }
  return all_fit;
}

// A boolean is a byte; anything but zero is true.
template <class To>
bool convert_booleans(const std::byte* in, To* out, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = convert<To>(in[i] != std::byte{} ? 1 : 0);
  return true;
}

}  // namespace stored_elements

/// Converts `count` elements at any address; false when an integer type cannot hold one of them. Throws
/// ArgumentError for blocks.
template <class To>
bool convert_elements(DType dtype, const std::byte* in, To* out, std::size_t count) {
  switch (dtype) {
    case DType::boolean:
      return stored_elements::convert_booleans(in, out, count);
    case DType::u8:
      return stored_elements::convert_all<std::uint8_t>(in, out, count);
    case DType::i8:
      return stored_elements::convert_all<std::int8_t>(in, out, count);
    case DType::i16:
      return stored_elements::convert_all<std::int16_t>(in, out, count);
    case DType::u16:
      return stored_elements::convert_all<std::uint16_t>(in, out, count);
    case DType::f16:
      return stored_elements::convert_all<half>(in, out, count);
    case DType::bf16:
      return stored_elements::convert_all<bfloat16>(in, out, count);
    case DType::i32:
      return stored_elements::convert_all<std::int32_t>(in, out, count);
    case DType::u32:
      return stored_elements::convert_all<std::uint32_t>(in, out, count);
    case DType::f32:
      return stored_elements::convert_all<float>(in, out, count);
    case DType::f64:
      return stored_elements::convert_all<double>(in, out, count);
    case DType::i64:
      return stored_elements::convert_all<std::int64_t>(in, out, count);
    case DType::u64:
      return stored_elements::convert_all<std::uint64_t>(in, out, count);
    case DType::f8_e5m2:
      return stored_elements::convert_all<stored_elements::F8E5M2>(in, out, count);
    case DType::f8_e4m3:
      return stored_elements::convert_all<stored_elements::F8E4M3>(in, out, count);
    default:
      throw ArgumentError("dtype", "blocks of type " + std::string(name(dtype)) + " have to be decoded");
  }
}

}  // namespace daguerre
