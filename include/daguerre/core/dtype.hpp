#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace daguerre {

/// bfloat16: the upper half of a float32. Rounded to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  explicit bfloat16(float value) noexcept {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (word + 0x7FFFu + ((word >> 16) & 1u)) >> 16;
    const bool is_nan = (word & 0x7FFFFFFFu) > 0x7F800000u;
    bits = static_cast<std::uint16_t>(is_nan ? ((word >> 16) | 0x40u) : rounded);
  }
  explicit operator float() const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  bool operator==(const bfloat16&) const = default;
};

/// IEEE binary16. Rounded to nearest, ties to even; overflow gives infinity.
struct half {
  std::uint16_t bits = 0;

  half() = default;
  explicit half(float value) noexcept {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((word >> 16) & 0x8000u);
    const std::uint32_t magnitude = word & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) {
      bits = sign | 0x7E00u;
    } else if (magnitude >= 0x477FF000u) {  // rounds beyond 65504
      bits = sign | 0x7C00u;
    } else if (magnitude < 0x38800000u) {  // subnormal: let the float adder round at bit 24
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      bits = static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u));
    } else {
      const std::uint32_t odd = (magnitude >> 13) & 1u;
      bits = static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
    }
  }
  explicit operator float() const noexcept {
    // Shift into float32's fields, then scale by 2^112: right for normal and subnormal numbers alike.
    // Infinity and NaN come out at 2^16 or above and get their exponent filled. No branch, so that loops
    // vectorise.
    const float scaled = std::bit_cast<float>(static_cast<std::uint32_t>(bits & 0x7FFFu) << 13) * 0x1p112f;
    auto word = std::bit_cast<std::uint32_t>(scaled);
    word |= scaled >= 65536.0f ? 0x7F800000u : 0u;
    return std::bit_cast<float>(word | static_cast<std::uint32_t>(bits & 0x8000u) << 16);
  }
  bool operator==(const half&) const = default;
};

/// What files store: the element types of the safetensors format (f8_e4m3 is OCP's without infinities), and
/// behind them ggml's blocks, in which some dozens of numbers share a scale. All can be converted to float.
enum class DType {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  f64,
  i64,
  u64,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
  iq4_nl,
  iq4_xs,
  tq1_0,
  tq2_0
};

/// Whether numbers of that type come in blocks.
constexpr bool is_block(DType dtype) noexcept {
  return dtype >= DType::q4_0;
}
/// The type of single elements: float32 for blocks, else `dtype` itself.
constexpr DType element_type(DType dtype) noexcept {
  return is_block(dtype) ? DType::f32 : dtype;
}

/// The name used in files: "F32", "BF16", "BOOL", "Q4_K" …
std::string_view name(DType dtype);
/// Bytes an element takes. Throws ArgumentError for blocks, whose elements take no whole bytes.
std::size_t size_of(DType dtype);

/// What cannot be divided: a block, or a single element.
struct BlockSize {
  std::int64_t elements;
  std::int64_t bytes;
};
BlockSize block_of(DType dtype);
/// Bytes that `elements` take. Throws ArgumentError for a number that makes no whole blocks, or whose bytes
/// exceed 63 bits.
std::int64_t bytes_of(DType dtype, std::int64_t elements);

/// The DType whose elements are of type T: float, double, bfloat16, half, std::int32_t or std::int64_t.
template <class T>
constexpr DType dtype_of() noexcept {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, bfloat16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, half>)
    return DType::f16;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return DType::i32;
  else {
    static_assert(std::is_same_v<T, std::int64_t>);
    return DType::i64;
  }
}

/// Converts between any two element types; all floating conversions go through float32 (double stays double).
template <class To, class From>
To convert(From value) noexcept {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<From, bfloat16> || std::is_same_v<From, half>)
    return convert<To>(static_cast<float>(value));
  else if constexpr (std::is_same_v<To, bfloat16> || std::is_same_v<To, half>)
    return To(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

}  // namespace daguerre
