#pragma once

// The body of the kernels for few rows. Not an ordinary header: a source file defines DAGUERRE_DOTS (the name
// of the table and of the namespace around it), DAGUERRE_DOTS_NAME and DAGUERRE_VECTOR_BYTES, is compiled
// with the flags of one instruction set, and includes this. Products and sums are not contracted: what is
// decoded has the same bits as in ops/blocks, and where a product is added without rounding in between is
// written.

#define DAGUERRE_PASTE_(a, b) a##b
#define DAGUERRE_PASTE(a, b) DAGUERRE_PASTE_(a, b)
#define DAGUERRE_DOTS_NAMESPACE DAGUERRE_PASTE(with_, DAGUERRE_DOTS)

#include <cstdint>
#include <cstring>

#if DAGUERRE_VECTOR_BYTES >= 32
#include <immintrin.h>
#endif

#include "ops/engines/native/few_rows_kernels.hpp"

namespace daguerre::ops::kernels {
namespace DAGUERRE_DOTS_NAMESPACE {
namespace {

using Byte = std::uint8_t;
using Bytes = std::int8_t __attribute__((vector_size(16)));
using Unsigned = std::uint8_t __attribute__((vector_size(16)));

template <class T>
inline T load(const void* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// ---- sixteen numbers

#if DAGUERRE_VECTOR_BYTES == 64
using Vector = __m512;
inline Vector fused(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vector loaded(const float* at) {
  return _mm512_loadu_ps(at);
}
inline void store(float* at, Vector v) {
  _mm512_storeu_ps(at, v);
}
inline Vector broadcast(float value) {
  return _mm512_set1_ps(value);
}
#elif DAGUERRE_VECTOR_BYTES == 32
using Vector = __m256;
inline Vector fused(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline Vector loaded(const float* at) {
  return _mm256_loadu_ps(at);
}
inline void store(float* at, Vector v) {
  _mm256_storeu_ps(at, v);
}
inline Vector broadcast(float value) {
  return _mm256_set1_ps(value);
}
#else
using Vector = float __attribute__((vector_size(16)));
inline Vector fused(Vector a, Vector b, Vector c) {
  return a * b + c;
}
inline Vector loaded(const float* at) {
  return load<Vector>(at);
}
inline void store(float* at, Vector v) {
  std::memcpy(at, &v, sizeof v);
}
inline Vector broadcast(float value) {
  return Vector{value, value, value, value};
}
#endif

constexpr int width = sizeof(Vector) / sizeof(float);
constexpr int parts = static_cast<int>(dot_lanes) / width;
struct Lanes {
  Vector of[parts];
};

template <class F>
inline Lanes made(const F& part) {
  Lanes result;
#pragma GCC unroll 4
  for (int i = 0; i < parts; ++i) result.of[i] = part(i);
  return result;
}
inline Lanes zero() {
  return made([](int) { return broadcast(0.0f); });
}
inline Lanes from_floats(const float* at) {
  return made([&](int i) { return loaded(at + i * width); });
}
inline Lanes from_bfloat16(const Byte* at) {
#if DAGUERRE_VECTOR_BYTES == 64
  return {{_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load<__m256i>(at)), 16))}};
#elif DAGUERRE_VECTOR_BYTES == 32
  return made([&](int i) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load<__m128i>(at + 16 * i)), 16));
  });
#else
  float values[dot_lanes];
  for (int i = 0; i < dot_lanes; ++i) {
    const std::uint32_t word = static_cast<std::uint32_t>(load<std::uint16_t>(at + 2 * i)) << 16;
    std::memcpy(values + i, &word, sizeof word);
  }
  return from_floats(values);
#endif
}
#if DAGUERRE_VECTOR_BYTES < 32
// As half's own conversion, which is an inline function that files of other instruction sets share.
inline float widened(std::uint16_t bits) {
  const std::uint32_t shifted = (bits & 0x7FFFu) << 13;
  float scaled = load<float>(&shifted) * 0x1p112f;
  const std::uint32_t word = load<std::uint32_t>(&scaled) | (scaled >= 65536.0f ? 0x7F800000u : 0u) |
                             static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  return load<float>(&word);
}
#endif
inline float load_half(const Byte* at) {
#if DAGUERRE_VECTOR_BYTES >= 32
  return _cvtsh_ss(load<std::uint16_t>(at));
#else
  return widened(load<std::uint16_t>(at));
#endif
}
inline Lanes from_half(const Byte* at) {
#if DAGUERRE_VECTOR_BYTES == 64
  return {{_mm512_cvtph_ps(load<__m256i>(at))}};
#elif DAGUERRE_VECTOR_BYTES == 32
  return made([&](int i) { return _mm256_cvtph_ps(load<__m128i>(at + 16 * i)); });
#else
  float values[dot_lanes];
  for (int i = 0; i < dot_lanes; ++i) values[i] = load_half(at + 2 * i);
  return from_floats(values);
#endif
}
inline Lanes from_integers(Bytes q) {
#if DAGUERRE_VECTOR_BYTES == 64
  return {{_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load<__m128i>(&q)))}};
#elif DAGUERRE_VECTOR_BYTES == 32
  const auto all = load<__m128i>(&q);
  return {{_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
           _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(all, 8)))}};
#else
  float values[dot_lanes];
  for (int i = 0; i < dot_lanes; ++i) values[i] = static_cast<float>(q[i]);
  return from_floats(values);
#endif
}

/// To bfloat16 and back, as bfloat16's own rounding.
inline Vector rounded(Vector v) {
#if DAGUERRE_VECTOR_BYTES == 64 && defined(__AVX512BF16__)
  const auto narrow = _mm512_cvtneps_pbh(v);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load<__m256i>(&narrow)), 16));
#else
  using Words = std::uint32_t __attribute__((vector_size(sizeof(Vector))));
  const auto word = load<Words>(&v);
  const Words even = (word + 0x7FFFu + ((word >> 16) & 1u)) & 0xFFFF0000u;
  const Words is_nan =
      reinterpret_cast<const Words&>(static_cast<const Words&>((word & 0x7FFFFFFFu) > 0x7F800000u));
  const Words result = (is_nan & ((word | 0x400000u) & 0xFFFF0000u)) | (~is_nan & even);
  return load<Vector>(&result);
#endif
}

// ---- formats: numbers, or blocks of them, from which sixteen at a time are taken

struct F32 {
  static constexpr int elements = dot_lanes, bytes = 64;
  const Byte* at;
  explicit F32(const Byte* block) : at(block) {}
  Lanes operator()(int) const {
    return made([&](int i) { return loaded(reinterpret_cast<const float*>(at) + i * width); });
  }
};
struct F16 {
  static constexpr int elements = dot_lanes, bytes = 32;
  const Byte* at;
  explicit F16(const Byte* block) : at(block) {}
  Lanes operator()(int) const { return from_half(at); }
};
struct Bf16 {
  static constexpr int elements = dot_lanes, bytes = 32;
  const Byte* at;
  explicit Bf16(const Byte* block) : at(block) {}
  Lanes operator()(int) const { return from_bfloat16(at); }
};

inline Lanes scaled(Bytes q, float scale) {
  const auto values = from_integers(q);
  return made([&](int i) { return values.of[i] * broadcast(scale); });
}
inline Lanes scaled_below(Bytes q, float scale, float minimum) {
  const auto values = from_integers(q);
  return made([&](int i) { return values.of[i] * broadcast(scale) - broadcast(minimum); });
}
inline Lanes scaled_above(Bytes q, float scale, float minimum) {
  const auto values = from_integers(q);
  return made([&](int i) { return values.of[i] * broadcast(scale) + broadcast(minimum); });
}
/// The upper or lower halves of 16 bytes.
inline Bytes nibbles(const Byte* at, bool upper) {
  const auto q = load<Unsigned>(at);
  const Unsigned half = upper ? q >> 4 : q & 15;
  return load<Bytes>(&half);
}
/// 16 where the bit of `high` is set, from the lowest on; else 0.
inline Bytes fifth_bits(unsigned high) {
  constexpr Unsigned bits{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const std::uint64_t copies[2] = {(high & 255u) * 0x0101010101010101u,
                                   (high >> 8 & 255u) * 0x0101010101010101u};
  const Bytes set = (load<Unsigned>(copies) & bits) == bits;
  return set & 16;
}

struct Q8_0 {
  static constexpr int elements = 32, bytes = 34;
  const Byte* q;
  float d;
  explicit Q8_0(const Byte* block) : q(block + 2), d(load_half(block)) {}
  Lanes operator()(int group) const { return scaled(load<Bytes>(q + 16 * group), d); }
};
struct Q4_0 {
  static constexpr int elements = 32, bytes = 18;
  const Byte* q;
  float d;
  explicit Q4_0(const Byte* block) : q(block + 2), d(load_half(block)) {}
  Lanes operator()(int group) const { return scaled(nibbles(q, group != 0) - 8, d); }
};
struct Q4_1 {
  static constexpr int elements = 32, bytes = 20;
  const Byte* q;
  float d, m;
  explicit Q4_1(const Byte* block) : q(block + 4), d(load_half(block)), m(load_half(block + 2)) {}
  Lanes operator()(int group) const { return scaled_above(nibbles(q, group != 0), d, m); }
};
struct Q5_0 {
  static constexpr int elements = 32, bytes = 22;
  const Byte* block;
  float d;
  explicit Q5_0(const Byte* block) : block(block), d(load_half(block)) {}
  Lanes operator()(int group) const {
    const unsigned high = load<std::uint16_t>(block + 2 + 2 * group);
    return scaled((nibbles(block + 6, group != 0) | fifth_bits(high)) - 16, d);
  }
};
struct Q5_1 {
  static constexpr int elements = 32, bytes = 24;
  const Byte* block;
  float d, m;
  explicit Q5_1(const Byte* block) : block(block), d(load_half(block)), m(load_half(block + 2)) {}
  Lanes operator()(int group) const {
    const unsigned high = load<std::uint16_t>(block + 4 + 2 * group);
    return scaled_above(nibbles(block + 8, group != 0) | fifth_bits(high), d, m);
  }
};

// Eight scales and eight minima of six bits in twelve bytes.
struct ScalesAndMinima {
  float scales[8], minima[8];
  ScalesAndMinima(const Byte* b, float d, float dmin) {
    for (int i = 0; i < 4; ++i) {
      scales[i] = d * static_cast<float>(b[i] & 63);
      minima[i] = dmin * static_cast<float>(b[i + 4] & 63);
      scales[i + 4] = d * static_cast<float>((b[i + 8] & 15) | (b[i] >> 2 & 0x30));
      minima[i + 4] = dmin * static_cast<float>((b[i + 8] >> 4) | (b[i + 4] >> 2 & 0x30));
    }
  }
};
struct Q4K {
  static constexpr int elements = 256, bytes = 144;
  const Byte* q;
  ScalesAndMinima of;
  explicit Q4K(const Byte* block) : q(block + 16), of(block + 4, load_half(block), load_half(block + 2)) {}
  Lanes operator()(int group) const {
    const int part = group / 2;
    return scaled_below(nibbles(q + part / 2 * 32 + group % 2 * 16, part % 2 != 0), of.scales[part],
                        of.minima[part]);
  }
};
struct Q5K {
  static constexpr int elements = 256, bytes = 176;
  const Byte* block;
  ScalesAndMinima of;
  explicit Q5K(const Byte* block) : block(block), of(block + 4, load_half(block), load_half(block + 2)) {}
  Lanes operator()(int group) const {
    const int part = group / 2, side = group % 2 * 16;
    const auto bit = static_cast<Byte>(1u << part);
    const Bytes set = (load<Unsigned>(block + 16 + side) & bit) == bit;
    return scaled_below(nibbles(block + 48 + part / 2 * 32 + side, part % 2 != 0) | (set & 16),
                        of.scales[part], of.minima[part]);
  }
};
struct Q6K {
  static constexpr int elements = 256, bytes = 210;
  const Byte* block;
  float d;
  explicit Q6K(const Byte* block) : block(block), d(load_half(block + 208)) {}
  Lanes operator()(int group) const {
    const int half = group / 8, quarter = group / 2 % 4, side = group % 2 * 16;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(block[192 + group]));
    const auto low = nibbles(block + 64 * half + quarter % 2 * 32 + side, quarter >= 2);
    const Unsigned top = (load<Unsigned>(block + 128 + 32 * half + side) >> (quarter * 2) & 3) << 4;
    return scaled((low | load<Bytes>(&top)) - 32, scale);
  }
};

// ---- products

// Rows of weights and of activations that are worked on at once: as many sums as leave registers for the
// weights.
constexpr int weight_rows = DAGUERRE_VECTOR_BYTES == 64 ? 4 : DAGUERRE_VECTOR_BYTES == 32 ? 2 : 1;
constexpr int most_rows = DAGUERRE_VECTOR_BYTES == 64 ? 4 : 2;

/// Sixteen sums added in pairs 8, 4, 2 and 1 apart.
inline float total(const Lanes& sums) {
#if DAGUERRE_VECTOR_BYTES >= 32
#if DAGUERRE_VECTOR_BYTES == 64
  const auto eight = _mm256_add_ps(_mm512_castps512_ps256(sums.of[0]), _mm512_extractf32x8_ps(sums.of[0], 1));
#else
  const auto eight = _mm256_add_ps(sums.of[0], sums.of[1]);
#endif
  const auto four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const auto two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
  float v[dot_lanes];
  for (int i = 0; i < parts; ++i) store(v + i * width, sums.of[i]);
  for (int apart = 8; apart > 0; apart /= 2)
    for (int i = 0; i < apart; ++i) v[i] += v[i + apart];
  return v[0];
#endif
}

/// The same place of the rows that come next: memory is slower than what is done with it, and the processor
/// alone does not look beyond the end of a row.
inline void prefetch_next(const Byte* const* rows, Index offset, Index ahead, int bytes) {
#pragma GCC unroll 4
  for (int r = 0; r < weight_rows; ++r)
    for (int i = 0; i < bytes; i += 64) __builtin_prefetch(rows[r] + offset + ahead + i, 0, 2);
}

template <class Format, bool IsRounded, int M>
inline void add_block(const Format* blocks, const float* x, Index x_stride, Lanes (&sums)[weight_rows][M]) {
#pragma GCC unroll 16
  for (int group = 0; group < Format::elements / static_cast<int>(dot_lanes); ++group)
#pragma GCC unroll 4
    for (int r = 0; r < weight_rows; ++r) {
      auto w = blocks[r](group);
      if constexpr (IsRounded) w = made([&](int i) { return rounded(w.of[i]); });
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i)
          sums[r][m].of[i] =
              fused(w.of[i], loaded(x + m * x_stride + group * dot_lanes + i * width), sums[r][m].of[i]);
    }
}

template <class Format>
struct Blocks {
  Format of[weight_rows];
};
template <class Format>
inline auto blocks_at(const Byte* const* rows, Index offset) {
  if constexpr (weight_rows == 4)
    return Blocks<Format>{{Format(rows[0] + offset), Format(rows[1] + offset), Format(rows[2] + offset),
                           Format(rows[3] + offset)}};
  else if constexpr (weight_rows == 2)
    return Blocks<Format>{{Format(rows[0] + offset), Format(rows[1] + offset)}};
  else
    return Blocks<Format>{{Format(rows[0] + offset)}};
}

/// `rows` of which the last ones may be the same one again.
template <class Format, bool IsRounded, int M>
void dot_rows(const Byte* const* rows, Index ahead, Index k, const float* x, Index x_stride,
              Lanes (&sums)[weight_rows][M]) {
  for (auto& row : sums)
    for (auto& sum : row) sum = zero();
  const Index whole = k / Format::elements;
  for (Index b = 0; b < whole; ++b, x += Format::elements) {
    prefetch_next(rows, b * Format::bytes, ahead, Format::bytes);
    add_block<Format, IsRounded, M>(blocks_at<Format>(rows, b * Format::bytes).of, x, x_stride, sums);
  }
  if constexpr (Format::elements == static_cast<int>(dot_lanes)) {
    const Index rest = k - whole * Format::elements;
    if (rest == 0) return;
    Byte tails[weight_rows][Format::bytes] = {};
    const Byte* starts[weight_rows];
    for (int r = 0; r < weight_rows; ++r) {
      std::memcpy(tails[r], rows[r] + whole * Format::bytes,
                  static_cast<std::size_t>(rest * Format::bytes / Format::elements));
      starts[r] = tails[r];
    }
    add_block<Format, IsRounded, M>(blocks_at<Format>(starts, 0).of, x, x_stride, sums);
  }
}

template <class Format, bool IsRounded, int M>
void dot_some(const Byte* const* rows, Index ahead, Index count, Index k, const float* x, Index x_stride,
              float* sums, Index sums_stride) {
  Lanes all[weight_rows][M];
  dot_rows<Format, IsRounded, M>(rows, ahead, k, x, x_stride, all);
  for (Index r = 0; r < count; ++r)
    for (int m = 0; m < M; ++m) sums[m * sums_stride + r] = total(all[r][m]);
}

template <class Format, bool IsRounded>
void dot(const std::byte* weights, Index row_bytes, Index count, Index k, const float* x, Index x_stride,
         Index m, float* sums, Index sums_stride) {
  const auto* const first = reinterpret_cast<const Byte*>(weights);
  for (Index j = 0; j < count; j += weight_rows) {
    const Index there = count - j < weight_rows ? count - j : weight_rows;
    const Byte* rows[weight_rows];
    for (Index r = 0; r < weight_rows; ++r) rows[r] = first + (j + (r < there ? r : there - 1)) * row_bytes;
    const Index ahead = weight_rows * row_bytes;
    Index i = 0;
    for (; i + most_rows <= m; i += most_rows)
      dot_some<Format, IsRounded, most_rows>(rows, ahead, there, k, x + i * x_stride, x_stride,
                                             sums + i * sums_stride + j, sums_stride);
    for (; i < m; ++i)
      dot_some<Format, IsRounded, 1>(rows, ahead, there, k, x + i * x_stride, x_stride,
                                     sums + i * sums_stride + j, sums_stride);
  }
}

#if DAGUERRE_VECTOR_BYTES == 64
// Sixteen columns stand in the lanes, and the sixteen sums of each in as many registers.

/// Adds the products of sixteen rows of a panel, `row_bytes` apart.
template <class T>
inline void add_panel_rows(const Byte* from, Index row_bytes, const float* x, __m512 (&sums)[dot_lanes]) {
  if constexpr (sizeof(T) == 4) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i, from += row_bytes)
      sums[i] = _mm512_fmadd_ps(_mm512_loadu_ps(from), _mm512_set1_ps(x[i]), sums[i]);
  } else {
    const auto upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2, from += row_bytes) {
      const auto both = _mm512_loadu_si512(from);
      const auto low = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
      const auto high = _mm512_castsi512_ps(_mm512_and_si512(both, upper));
      sums[i] = _mm512_fmadd_ps(low, _mm512_set1_ps(x[i]), sums[i]);
      sums[i + 1] = _mm512_fmadd_ps(high, _mm512_set1_ps(x[i + 1]), sums[i + 1]);
    }
  }
}

template <class T>
void dot_panels(const void* panel, Index columns, Index k, const float* x, Index x_stride, Index m,
                float* sums, Index sums_stride) {
  constexpr Index row_columns_bytes = 4;  // of one column in one row: a float, or two bfloat16
  constexpr Index rows = dot_lanes * static_cast<Index>(sizeof(T)) / row_columns_bytes;
  const Index row_bytes = columns * row_columns_bytes;
  const auto* const first = static_cast<const Byte*>(panel);
  for (Index column = 0; column < columns; column += dot_lanes)
    for (Index i = 0; i < m; ++i) {
      __m512 all[dot_lanes];
#pragma GCC unroll 16
      for (auto& sum : all) sum = _mm512_setzero_ps();
      const Byte* from = first + column * row_columns_bytes;
      for (Index at = 0; at < k; at += dot_lanes, from += rows * row_bytes)
        add_panel_rows<T>(from, row_bytes, x + i * x_stride + at, all);
#pragma GCC unroll 4
      for (int apart = 8; apart > 0; apart /= 2)
#pragma GCC unroll 8
        for (int j = 0; j < apart; ++j) all[j] = _mm512_add_ps(all[j], all[j + apart]);
      _mm512_storeu_ps(sums + i * sums_stride + column, all[0]);
    }
}
#endif

template <class Format>
Dot either(bool is_rounded) {
  return is_rounded ? &dot<Format, true> : &dot<Format, false>;
}

Dot dot_of(StoredAs stored) {
  switch (stored.dtype) {
    case DType::f32:
      return either<F32>(stored.is_rounded);
    case DType::f16:
      return either<F16>(stored.is_rounded);
    case DType::bf16:
      return &dot<Bf16, false>;
    case DType::q8_0:
      return either<Q8_0>(stored.is_rounded);
    case DType::q4_0:
      return either<Q4_0>(stored.is_rounded);
    case DType::q4_1:
      return either<Q4_1>(stored.is_rounded);
    case DType::q5_0:
      return either<Q5_0>(stored.is_rounded);
    case DType::q5_1:
      return either<Q5_1>(stored.is_rounded);
    case DType::q4_k:
      return either<Q4K>(stored.is_rounded);
    case DType::q5_k:
      return either<Q5K>(stored.is_rounded);
    case DType::q6_k:
      return either<Q6K>(stored.is_rounded);
    default:
      return nullptr;
  }
}

}  // namespace
}  // namespace DAGUERRE_DOTS_NAMESPACE

const DotKernels DAGUERRE_DOTS = {DAGUERRE_DOTS_NAME, &DAGUERRE_DOTS_NAMESPACE::dot_of,
#if DAGUERRE_VECTOR_BYTES == 64
                                  &DAGUERRE_DOTS_NAMESPACE::dot_panels<float>,
                                  &DAGUERRE_DOTS_NAMESPACE::dot_panels<bfloat16>
#else
                                  nullptr, nullptr
#endif
};

}  // namespace daguerre::ops::kernels
