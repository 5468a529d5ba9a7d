#pragma once

// The body of the kernels. Not an ordinary header: a source file defines DAGUERRE_KERNELS (the name of the
// table and of the namespace around it) and DAGUERRE_VECTOR_BYTES, is compiled with the flags of one
// instruction set, and includes this. Eigen is renamed, so that its inline functions, compiled with other
// flags in other files, do not share a symbol: the linker would keep one of them for all processors.
#define DAGUERRE_PASTE_(a, b) a##b
#define DAGUERRE_PASTE(a, b) DAGUERRE_PASTE_(a, b)
#define Eigen DAGUERRE_PASTE(Eigen_, DAGUERRE_KERNELS)
#define DAGUERRE_KERNELS_NAMESPACE DAGUERRE_PASTE(with_, DAGUERRE_KERNELS)
#define EIGEN_DONT_PARALLELIZE
#define EIGEN_NO_DEBUG
#include <bit>
#include <unsupported/Eigen/SpecialFunctions>

#include <Eigen/Core>
// What the file was made for decides, not only what the compiler may use: with -march=native it may use
// everything in all of them.
#define DAGUERRE_AVX512 (DAGUERRE_VECTOR_BYTES == 64)  // with its parts F, BW, VL and DQ
#ifdef __AVX512BF16__
#define DAGUERRE_AVX512_BF16 DAGUERRE_AVX512
#else
#define DAGUERRE_AVX512_BF16 0
#endif
#if DAGUERRE_AVX512 || defined(__F16C__)
#include <immintrin.h>
#endif

#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops::kernels {
namespace DAGUERRE_KERNELS_NAMESPACE {

constexpr Index lanes = DAGUERRE_VECTOR_BYTES / sizeof(float);
// Two vectors a row and as many rows as leave registers for two vectors of the panel and one broadcast
// value.
constexpr Index panel_width = 2 * lanes;
constexpr int row_block = DAGUERRE_VECTOR_BYTES == 64 ? 12 : 6;
using Vector = float __attribute__((vector_size(DAGUERRE_VECTOR_BYTES)));
constexpr bool native_bfloat16 = DAGUERRE_AVX512_BF16;

/// A vector from or to floats of any alignment; compiles to one unaligned move.
inline Vector load(const float* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}
inline void store(float* to, Vector vector) {
  __builtin_memcpy(to, &vector, sizeof vector);
}

/// The value in every lane. (Subtracting zero changes no bit of any number, so nothing is subtracted.)
inline Vector broadcast(float value) {
  return value - Vector{};
}

inline float widen(float value) {
  return value;
}
inline float widen(bfloat16 value) {
  return static_cast<float>(value);
}

// ---- matrix product
// ------------------------------------------------------------------------------------------------

#if DAGUERRE_AVX512
/// Sixteen numbers of each of sixteen rows, `stride` apart, as sixteen columns, `panel_width` apart.
inline void transpose(const float* from, Index stride, float* to) {
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(from + i * stride);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  const auto low = [](__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  };
  const auto high = [](__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  };
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = low(t[i], t[i + 2]);
    r[i + 1] = high(t[i], t[i + 2]);
    r[i + 2] = low(t[i + 1], t[i + 3]);
    r[i + 3] = high(t[i + 1], t[i + 3]);
  }
  // Now lane q of r[4 i + c] is column 4 q + c of rows 4 i to 4 i + 3.
  constexpr int even = 0x88, odd = 0xDD;
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c, to += panel_width) {
    const auto a = _mm512_shuffle_f32x4(r[c], r[4 + c], even);
    const auto b = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], even);
    _mm512_storeu_ps(to, _mm512_shuffle_f32x4(a, b, even));
    _mm512_storeu_ps(to + 8 * panel_width, _mm512_shuffle_f32x4(a, b, odd));
    const auto d = _mm512_shuffle_f32x4(r[c], r[4 + c], odd);
    const auto e = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], odd);
    _mm512_storeu_ps(to + 4 * panel_width, _mm512_shuffle_f32x4(d, e, even));
    _mm512_storeu_ps(to + 12 * panel_width, _mm512_shuffle_f32x4(d, e, odd));
  }
}
#endif

void pack_panels(const float* source, Index k, Index n, Index k_stride, Index n_stride, float* panels) {
  for (Index column = 0; column < n; column += panel_width) {
    const Index width = n - column < panel_width ? n - column : panel_width;
    Index i = 0;
#if DAGUERRE_AVX512
    if (k_stride == 1 && width == panel_width)
      for (; i + 16 <= k; i += 16, panels += 16 * panel_width)
        for (Index half = 0; half < panel_width; half += 16)
          transpose(source + i + (column + half) * n_stride, n_stride, panels + half);
#endif
    for (; i < k; ++i, panels += panel_width) {
      const float* from = source + i * k_stride + column * n_stride;
      for (Index j = 0; j < width; ++j) panels[j] = from[j * n_stride];
      for (Index j = width; j < panel_width; ++j) panels[j] = 0.0f;
    }
  }
}

/// Rows x panel_width results held in registers over all of k.
template <class T, int Rows>
inline void multiply_block(const T* const* rows, Index k, const float* panel, Index width, float* c,
                           Index c_stride) {
  Vector low[Rows], high[Rows];
  for (int r = 0; r < Rows; ++r) low[r] = high[r] = Vector{};
  for (Index i = 0; i < k; ++i, panel += panel_width) {
    const Vector b_low = load(panel);
    const Vector b_high = load(panel + lanes);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const float a = widen(rows[r][i]);
      low[r] += a * b_low;
      high[r] += a * b_high;
    }
  }
  for (int r = 0; r < Rows; ++r, c += c_stride) {
    if (width == panel_width) {
      store(c, load(c) + low[r]);
      store(c + lanes, load(c + lanes) + high[r]);
    } else {
      for (Index j = 0; j < width; ++j) c[j] += j < lanes ? low[r][j] : high[r][j - lanes];
    }
  }
}

template <class T, int Rows>
void multiply_rows(const T* const* rows, Index count, Index k, const float* panel, Index width, float* c,
                   Index c_stride) {
  if (count == Rows)
    multiply_block<T, Rows>(rows, k, panel, width, c, c_stride);
  else if constexpr (Rows > 1)
    multiply_rows<T, Rows - 1>(rows, count, k, panel, width, c, c_stride);
}

template <class T>
void multiply(const T* const* rows, Index m, Index k, const float* panels, Index panel_size, Index n,
              float* c, Index c_stride) {
  for (Index column = 0; column < n; column += panel_width, panels += panel_size) {
    const Index width = n - column < panel_width ? n - column : panel_width;
    for (Index row = 0; row < m; row += row_block) {
      const Index count = m - row < row_block ? m - row : row_block;
      multiply_rows<T, row_block>(rows + row, count, k, panels, width, c + row * c_stride + column, c_stride);
    }
  }
}

// ---- element-wise
// ---------------------------------------------------------------------------------------------------

using Array = Eigen::Array<float, Eigen::Dynamic, 1>;
using Map = Eigen::Map<Array>;
using ConstMap = Eigen::Map<const Array>;

/// Elements handled at once: enough to amortise the loop, few enough to stay in the first-level cache.
constexpr Index chunk = 1024;

inline void to_float(const float* x, float* y, Index count) {
  Map(y, count) = ConstMap(x, count);
}
inline void from_float(const float* x, float* y, Index count) {
  Map(y, count) = ConstMap(x, count);
}
inline void to_float(const bfloat16* x, float* y, Index count) {
  for (Index i = 0; i < count; ++i) y[i] = static_cast<float>(x[i]);
}
inline void from_float(const float* x, bfloat16* y, Index count) {
  Index i = 0;
#if DAGUERRE_AVX512_BF16
  for (; i + lanes <= count; i += lanes) {
    const auto rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + i));
    __builtin_memcpy(static_cast<void*>(y + i), &rounded, sizeof rounded);
  }
#endif
  for (; i < count; ++i) y[i] = bfloat16(x[i]);
}

void half_to_float(const std::byte* x, float* y, Index count) {
  Index i = 0;
#ifdef __F16C__
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 2 * i))));
#endif
  for (; i < count; ++i) {
    half value;
    __builtin_memcpy(&value.bits, x + 2 * i, sizeof value.bits);
    y[i] = static_cast<float>(value);
  }
}

void bfloat16_to_float(const std::byte* x, float* y, Index count) {
  for (Index i = 0; i < count; ++i) {
    bfloat16 value;
    __builtin_memcpy(&value.bits, x + 2 * i, sizeof value.bits);
    y[i] = static_cast<float>(value);
  }
}

/// `count` is at most `chunk`.
inline void activate_in_place(float* values, Index count, Activation activation) {
  Map x(values, count);
  switch (activation) {
    case Activation::none:
      break;
    case Activation::silu:
      x /= 1.0f + (-x).exp();
      break;
    case Activation::gelu:
      x *= 0.5f * (1.0f + (x * 0.70710678118654752f).erf());
      break;
    case Activation::gelu_tanh:
      x *= 0.5f * (1.0f + (0.79788456080286536f * (x + 0.044715f * x.cube())).tanh());
      break;
    case Activation::quick_gelu:
      x /= 1.0f + (-1.702f * x).exp();
      break;
    case Activation::relu:
      x = (x < 0.0f).select(0.0f, x);  // NaN stays
      break;
    case Activation::mish: {
      // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); beyond 20 it is 1 and n would overflow.
      float numerators[chunk];
      Map n(numerators, count);
      n = (x > 20.0f).select(20.0f, x).exp();
      n *= n + 2.0f;
      x *= n / (n + 2.0f);
      break;
    }
  }
}

/// Calls body(offset, length) for consecutive pieces of at most `chunk` of `count` elements.
template <class Body>
inline void in_chunks(Index count, const Body& body) {
  for (Index i = 0; i < count; i += chunk) body(i, count - i < chunk ? count - i : chunk);
}

template <class T>
void finish(const float* accumulators, Index stride, Index rows, Index columns, const Epilogue& epilogue,
            T* out, Index out_stride) {
  float values[chunk];
  for (Index row = 0; row < rows; ++row)
    in_chunks(columns, [&](Index i, Index length) {
      Map v(values, length);
      v = ConstMap(accumulators + row * stride + i, length);
      if (epilogue.bias != nullptr) v += ConstMap(epilogue.bias + i, length);
      activate_in_place(values, length, epilogue.activation);
      if (epilogue.residual != nullptr) v += ConstMap(epilogue.residual + row * out_stride + i, length);
      from_float(values, out + row * out_stride + i, length);
    });
}

template <class T>
void channel_sums(const T* x, Index rows, Index channels, const float* shift, float* sum, float* square) {
  float values[chunk];
  in_chunks(channels, [&](Index i, Index length) {
    Map s(sum + i, length), q(square + i, length), v(values, length);
    const ConstMap offset(shift + i, length);
    for (Index row = 0; row < rows; ++row) {
      if constexpr (std::is_same_v<T, float>) {
        v = ConstMap(x + row * channels + i, length) - offset;
      } else {
        to_float(x + row * channels + i, values, length);
        v -= offset;
      }
      s += v;
      q += v.square();
    }
  });
}

template <class T, class From>
void scale_shift(const From* x, T* y, Index rows, Index channels, const float* scale, const float* shift,
                 Activation activation) {
  float values[chunk];
  for (Index row = 0; row < rows; ++row)
    in_chunks(channels, [&](Index i, Index length) {
      Map v(values, length);
      if constexpr (std::is_same_v<From, float>) {
        v = ConstMap(x + row * channels + i, length) * ConstMap(scale + i, length) +
            ConstMap(shift + i, length);
      } else {
        to_float(x + row * channels + i, values, length);
        v = v * ConstMap(scale + i, length) + ConstMap(shift + i, length);
      }
      activate_in_place(values, length, activation);
      from_float(values, y + row * channels + i, length);
    });
}

template <class T>
void layer_norm(const float* x, T* y, Index rows, Index channels, const float* gamma, const float* beta,
                float epsilon) {
  float values[chunk];
  for (Index row = 0; row < rows; ++row, x += channels, y += channels) {
    float mean = 0.0f, variance = 0.0f;
    in_chunks(channels, [&](Index i, Index length) { mean += ConstMap(x + i, length).sum(); });
    mean /= static_cast<float>(channels);
    in_chunks(channels,
              [&](Index i, Index length) { variance += (ConstMap(x + i, length) - mean).square().sum(); });
    const float inverse = 1.0f / Eigen::numext::sqrt(variance / static_cast<float>(channels) + epsilon);
    in_chunks(channels, [&](Index i, Index length) {
      Map(values, length) = (ConstMap(x + i, length) - mean) * inverse * ConstMap(gamma + i, length) +
                            ConstMap(beta + i, length);
      from_float(values, y + i, length);
    });
  }
}

template <class T>
void rms_norm(const float* x, T* y, Index rows, Index channels, const float* gamma, float epsilon,
              Activation activation) {
  float values[chunk];
  for (Index row = 0; row < rows; ++row, x += channels, y += channels) {
    float squares = 0.0f;
    in_chunks(channels, [&](Index i, Index length) { squares += ConstMap(x + i, length).square().sum(); });
    const float inverse = 1.0f / Eigen::numext::sqrt(squares / static_cast<float>(channels) + epsilon);
    in_chunks(channels, [&](Index i, Index length) {
      Map(values, length) = ConstMap(x + i, length) * inverse * ConstMap(gamma + i, length);
      activate_in_place(values, length, activation);
      from_float(values, y + i, length);
    });
  }
}

void activate(const float* x, float* y, Index count, Activation activation) {
  in_chunks(count, [&](Index i, Index length) {
    Map(y + i, length) = ConstMap(x + i, length);
    activate_in_place(y + i, length, activation);
  });
}

template <class T>
void gate(const T* x, T* y, Index rows, Index width, Activation activation) {
  float values[chunk], gates[chunk];
  for (Index row = 0; row < rows; ++row, x += 2 * width, y += width)
    in_chunks(width, [&](Index i, Index length) {
      to_float(x + i, values, length);
      to_float(x + width + i, gates, length);
      activate_in_place(gates, length, activation);
      Map(values, length) *= ConstMap(gates, length);
      from_float(values, y + i, length);
    });
}

void add(const float* a, const float* b, float* y, Index count, float scale) {
  Map(y, count) = (ConstMap(a, count) + ConstMap(b, count)) * scale;
}

#include "ops/engines/native/kernels_attention.hpp"
#include "ops/engines/native/kernels_attention_rows.hpp"

template <class T>
constexpr RowKernels<T> row_kernels() {
  return {{&channel_sums<T>, &scale_shift<T, float>, &scale_shift<T, T>, &layer_norm<T>, &rms_norm<T>,
           &gate<T>, [](const T* x, float* y, Index count) { to_float(x, y, count); },
           [](const float* x, T* y, Index count) { from_float(x, y, count); }},
          &multiply<T>,
          &finish<T>,
          query_lanes,
          query_blocks,
          [](Index keys, Index width, Index value_width) {
            return keys * units<T>(width) + value_width * units<T>(keys);
          },
          &attention_scratch<T>,
          &pack_head<T>,
          &attend<T>,
          row_keys,
          most_rows,
          &attend_rows<T>};
}

}  // namespace DAGUERRE_KERNELS_NAMESPACE

#define DAGUERRE_TEXT_(x) #x
#define DAGUERRE_TEXT(x) DAGUERRE_TEXT_(x)
namespace selected = DAGUERRE_KERNELS_NAMESPACE;
extern const Kernels DAGUERRE_KERNELS;
const Kernels DAGUERRE_KERNELS = {DAGUERRE_TEXT(DAGUERRE_KERNELS),
                                  selected::panel_width,
                                  selected::row_block,
                                  &selected::pack_panels,
                                  &selected::half_to_float,
                                  &selected::bfloat16_to_float,
                                  &selected::activate,
                                  &selected::add,
                                  selected::row_kernels<float>(),
                                  selected::row_kernels<bfloat16>()};

}  // namespace daguerre::ops::kernels
