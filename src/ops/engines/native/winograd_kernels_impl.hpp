#pragma once

// The body of Winograd's kernels. Not an ordinary header: a source file defines DAGUERRE_WINOGRAD (the name
// of the table and of the namespace around it), DAGUERRE_WINOGRAD_NAME and DAGUERRE_VECTOR_BYTES, is compiled
// with the flags of one instruction set, and includes this.

#define DAGUERRE_PASTE_(a, b) a##b
#define DAGUERRE_PASTE(a, b) DAGUERRE_PASTE_(a, b)
#define DAGUERRE_WINOGRAD_NAMESPACE DAGUERRE_PASTE(with_, DAGUERRE_WINOGRAD)

#include <cstdint>

#if DAGUERRE_VECTOR_BYTES >= 32
#include <immintrin.h>
#endif

#include "ops/engines/native/kernels.hpp"
#include "ops/engines/native/winograd_kernels.hpp"

namespace daguerre::ops::kernels {
namespace DAGUERRE_WINOGRAD_NAMESPACE {
namespace {

constexpr int lanes = DAGUERRE_VECTOR_BYTES / sizeof(float);
constexpr int panel_width = 2 * lanes;
// Two vectors a row, and as many rows as leave registers for two vectors of the panel and a broadcast value.
constexpr int row_block = DAGUERRE_VECTOR_BYTES == 64 ? 14 : 6;
// A block's results at all points stay in the second-level cache beside its weights.
constexpr int outputs = DAGUERRE_VECTOR_BYTES == 64 ? 64 : 32;
constexpr int tiles_at_once = DAGUERRE_VECTOR_BYTES == 64 ? 84 : 96;
constexpr int depth_block = static_cast<int>(winograd_depth);
constexpr int in_side = static_cast<int>(winograd_in_side);
constexpr int out_side = static_cast<int>(winograd_side);
constexpr int points = static_cast<int>(winograd_points);

using Vector = float __attribute__((vector_size(DAGUERRE_VECTOR_BYTES)));
using Words = std::uint32_t __attribute__((vector_size(DAGUERRE_VECTOR_BYTES)));
using Halves = std::uint16_t __attribute__((vector_size(DAGUERRE_VECTOR_BYTES / 2)));

// ---- vectors from and to memory of any alignment

inline Vector load(const float* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}
inline Vector widened(const void* from) {
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  Vector vector;
  __builtin_memcpy(&vector, &words, sizeof vector);
  return vector;
}
inline Vector load(const bfloat16* from) {
  return widened(from);
}
inline void store(float* to, Vector vector) {
  __builtin_memcpy(to, &vector, sizeof vector);
}
/// To the nearest, ties to even, as `bfloat16(float)` rounds.
inline void store(bfloat16* to, Vector vector) {
  Words words;
  __builtin_memcpy(&words, &vector, sizeof words);
  const Words rounded = (words + 0x7FFFu + ((words >> 16) & 1u)) >> 16;
  const Words quiet = (words >> 16) | 0x40u;
  const Words is_nan = reinterpret_cast<Words>((words & 0x7FFFFFFFu) > 0x7F800000u);
  const Halves halves = __builtin_convertvector((rounded & ~is_nan) | (quiet & is_nan), Halves);
  __builtin_memcpy(static_cast<void*>(to), &halves, sizeof halves);
}
/// The value in every lane. (Subtracting zero changes no bit of any number, so nothing is subtracted.)
inline Vector broadcast(float value) {
  return value - Vector{};
}

struct Float32 {
  static constexpr int size = 4;
  static Vector at(const std::byte* from) { return load(reinterpret_cast<const float*>(from)); }
};
struct Bfloat16 {
  static constexpr int size = 2;
  static Vector at(const std::byte* from) { return widened(from); }
};
struct Binary16 {
  static constexpr int size = 2;
  static Vector at(const std::byte* from) {
#if DAGUERRE_VECTOR_BYTES == 64
    return reinterpret_cast<Vector>(
        _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif DAGUERRE_VECTOR_BYTES == 32
    return reinterpret_cast<Vector>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
    Halves halves;
    __builtin_memcpy(&halves, from, sizeof halves);
    const Words words = __builtin_convertvector(halves, Words);
    const Words shifted = (words & 0x7FFFu) << 13;
    const Vector scaled = reinterpret_cast<Vector>(shifted) * 0x1p112f;
    const Words infinite = reinterpret_cast<Words>(scaled >= 65536.0f) & 0x7F800000u;
    return reinterpret_cast<Vector>(reinterpret_cast<Words>(scaled) | infinite | ((words & 0x8000u) << 16));
#endif
  }
};

// ---- transforms of one dimension; the elements of what is read are `From` apart, those of the result `To`

// The points other than zero and infinity are a, -a, b and -b.
constexpr double a = 5.0 / 8, b = 3.0 / 2;
constexpr float af = a, bf = b, a2 = a * a, b2 = b * b, a3 = a * a * a, b3 = b * b * b;
constexpr float a2b2 = a * a * b * b, a2_b2 = a * a + b * b, ab2 = a * b * b, ba2 = b * a * a;

template <int From, int To>
inline void transform_input(const Vector* d, Vector* v) {
  const Vector d0 = d[0], d1 = d[From], d2 = d[2 * From], d3 = d[3 * From], d4 = d[4 * From],
               d5 = d[5 * From];
  v[0] = a2b2 * d0 + (d4 - a2_b2 * d2);
  v[5 * To] = a2b2 * d1 + (d5 - a2_b2 * d3);
  const Vector even_a = d4 - b2 * d2, odd_a = af * d3 - ab2 * d1;
  v[To] = even_a + odd_a;
  v[2 * To] = even_a - odd_a;
  const Vector even_b = d4 - a2 * d2, odd_b = bf * d3 - ba2 * d1;
  v[3 * To] = even_b + odd_b;
  v[4 * To] = even_b - odd_b;
}

template <int From, int To>
inline void transform_output(const Vector* m, Vector* y) {
  const Vector even_a = m[From] + m[2 * From], odd_a = m[From] - m[2 * From];
  const Vector even_b = m[3 * From] + m[4 * From], odd_b = m[3 * From] - m[4 * From];
  y[0] = m[0] + (even_a + even_b);
  y[To] = af * odd_a + bf * odd_b;
  y[2 * To] = a2 * even_a + b2 * even_b;
  y[3 * To] = a3 * odd_a + (b3 * odd_b + m[5 * From]);
}

constexpr float rounded(double value) {
  return static_cast<float>(value);
}
constexpr double over_a = 1 / (2 * a * a * (a * a - b * b)), over_b = 1 / (2 * b * b * (b * b - a * a));
constexpr float g0 = rounded(1 / (a * a * b * b));
constexpr float ga0 = rounded(over_a), ga1 = rounded(over_a * a), ga2 = rounded(over_a * a * a);
constexpr float gb0 = rounded(over_b), gb1 = rounded(over_b * b), gb2 = rounded(over_b * b * b);

template <int From, int To>
inline void transform_kernel(const Vector* g, Vector* u) {
  const Vector even_a = ga2 * g[2 * From] + ga0 * g[0], odd_a = ga1 * g[From];
  const Vector even_b = gb2 * g[2 * From] + gb0 * g[0], odd_b = gb1 * g[From];
  u[0] = g0 * g[0];
  u[To] = even_a + odd_a;
  u[2 * To] = even_a - odd_a;
  u[3 * To] = even_b + odd_b;
  u[4 * To] = even_b - odd_b;
  u[5 * To] = g[2 * From];
}

// ---- of both

template <class T>
inline void transform_vector(const T* const* pixels, Index channel, float* v, Index stream) {
  Vector columns[points];
#pragma GCC unroll 6
  for (int j = 0; j < in_side; ++j) {
    Vector d[in_side];
#pragma GCC unroll 6
    for (int i = 0; i < in_side; ++i) d[i] = load(pixels[i * in_side + j] + channel);
    transform_input<1, in_side>(d, columns + j);
  }
#pragma GCC unroll 6
  for (int i = 0; i < in_side; ++i) {
    Vector row[in_side];
    transform_input<1, 1>(columns + i * in_side, row);
#pragma GCC unroll 6
    for (int j = 0; j < in_side; ++j) {
      float* const to = v + (i * in_side + j) * stream;
      store(to, row[j]);
      __builtin_prefetch(to + depth_block, 1);  // the next tile's
    }
  }
}

template <class T>
void transform(const T* const* pixels, Index channels, float* v, Index block_stride, Index stream) {
  for (Index block = 0; block < channels; block += depth_block, v += block_stride) {
    const Index end = block + depth_block < channels ? block + depth_block : channels;
    Index c = block;
    for (; c + lanes <= end; c += lanes) transform_vector(pixels, c, v + (c - block), stream);
    if (c == end) continue;
    T rest[points][lanes] = {};
    const T* at[points];
    for (int i = 0; i < points; ++i) {
      for (Index k = c; k < end; ++k) __builtin_memcpy(&rest[i][k - c], pixels[i] + k, sizeof(T));
      at[i] = rest[i];
    }
    transform_vector(at, 0, v + (c - block), stream);
  }
}

template <class Stored>
void transform_stored(const std::byte* weights, Index depth, float* u, Index stream) {
  for (Index c = 0; c < depth; ++c, weights += 9 * outputs * Stored::size)
    for (int o = 0; o < outputs; o += lanes) {
      Vector g[9], columns[in_side * 3];
#pragma GCC unroll 9
      for (int i = 0; i < 9; ++i) g[i] = Stored::at(weights + (i * outputs + o) * Stored::size);
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j) transform_kernel<3, 3>(g + j, columns + j);
      float* const to = u + (o / panel_width * depth_block + c) * panel_width + o % panel_width;
#pragma GCC unroll 6
      for (int i = 0; i < in_side; ++i) {
        Vector row[in_side];
        transform_kernel<1, 1>(columns + 3 * i, row);
#pragma GCC unroll 6
        for (int j = 0; j < in_side; ++j) store(to + (i * in_side + j) * stream, row[j]);
      }
    }
}
void transform_weights(const std::byte* weights, DType dtype, Index depth, float* u, Index stream) {
  if (dtype == DType::f32)
    transform_stored<Float32>(weights, depth, u, stream);
  else if (dtype == DType::f16)
    transform_stored<Binary16>(weights, depth, u, stream);
  else
    transform_stored<Bfloat16>(weights, depth, u, stream);
}

/// Rows x panel_width results held in registers over the block's depth. As strides are known when this is
/// compiled, one register is enough for all rows' addresses. Meanwhile `next`, the same rows at the next
/// point, come from the last-level cache: 64 lines of 16 numbers are 16 rows.
template <int Rows, bool Accumulates>
inline void multiply_block(const float* v, const float* next, const float* panel, Index depth, float* m) {
  Vector low[Rows], high[Rows];
#pragma GCC unroll 14
  for (int r = 0; r < Rows; ++r) low[r] = high[r] = Vector{};
  for (Index i = 0; i < depth; ++i, ++v, panel += panel_width) {
    __builtin_prefetch(next + i * 16, 0, 2);
    const Vector panel_low = load(panel), panel_high = load(panel + lanes);
#pragma GCC unroll 14
    for (int r = 0; r < Rows; ++r) {
      const Vector value = broadcast(v[r * depth_block]);
      low[r] += value * panel_low;
      high[r] += value * panel_high;
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < Rows; ++r, m += outputs) {
    if (Accumulates) {
      low[r] += load(m);
      high[r] += load(m + lanes);
    }
    store(m, low[r]);
    store(m + lanes, high[r]);
  }
}

template <bool Accumulates, int Rows = row_block>
inline void multiply_rows(Index rows, const float* v, const float* next, const float* panel, Index depth,
                          float* m) {
  if constexpr (Rows > 1)
    if (rows < Rows) return multiply_rows<Accumulates, Rows - 1>(rows, v, next, panel, depth, m);
  multiply_block<Rows, Accumulates>(v, next, panel, depth, m);
}

template <bool Accumulates>
void multiply_points(const float* v, Index v_stream, const float* u, Index u_stream, Index depth, Index tiles,
                     float* m, Index m_stream) {
  const Index row_blocks = (tiles + row_block - 1) / row_block;
  for (int point = 0; point < points; ++point, v += v_stream, u += u_stream, m += m_stream)
    for (int o = 0; o < outputs; o += panel_width) {
      const float* const panel = u + o * depth_block;
      for (Index block = 0; block < row_blocks; ++block) {  // of even size
        const Index row = tiles * block / row_blocks, end = tiles * (block + 1) / row_blocks;
        const float* const rows = v + row * depth_block;
        multiply_rows<Accumulates>(end - row, rows, rows + v_stream, panel, depth, m + row * outputs + o);
      }
    }
}
void multiply(const float* v, Index v_stream, const float* u, Index u_stream, Index depth, Index tiles,
              float* m, Index m_stream, bool accumulates) {
  if (accumulates)
    multiply_points<true>(v, v_stream, u, u_stream, depth, tiles, m, m_stream);
  else
    multiply_points<false>(v, v_stream, u, u_stream, depth, tiles, m, m_stream);
}

template <class T>
void finish(const float* m, Index stream, Index count, const float* bias, const WinogradTile<T>& tile) {
  for (Index o = 0; o < count; o += lanes, m += lanes) {
    Vector columns[out_side * in_side], y[out_side * out_side];
#pragma GCC unroll 6
    for (int j = 0; j < in_side; ++j) {
      Vector d[in_side];
#pragma GCC unroll 6
      for (int i = 0; i < in_side; ++i) d[i] = load(m + (i * in_side + j) * stream);
      transform_output<1, in_side>(d, columns + j);
    }
#pragma GCC unroll 4
    for (int i = 0; i < out_side; ++i) transform_output<1, 1>(columns + i * in_side, y + i * out_side);
    const Index width = count - o < lanes ? count - o : lanes;
    const auto some = [&](const float* from) {
      Vector vector{};
      __builtin_memcpy(&vector, from, static_cast<std::size_t>(width) * sizeof(float));
      return vector;
    };
    const bool is_whole = width == lanes;
    const Vector added = bias == nullptr ? Vector{} : is_whole ? load(bias + o) : some(bias + o);
#pragma GCC unroll 16
    for (int i = 0; i < out_side * out_side; ++i) y[i] += added;
    if (tile.activation != Activation::none) {
      constexpr Index numbers = out_side * out_side * lanes;
      float values[numbers];
      __builtin_memcpy(values, y, sizeof(values));
      active().activate(values, values, numbers, tile.activation);
      __builtin_memcpy(y, values, sizeof(values));
    }
    for (Index i = 0; i < tile.rows; ++i)
      for (Index j = 0; j < tile.columns; ++j) {
        const Index at = i * tile.row_stride + j * tile.column_stride + o;
        Vector result = y[i * out_side + j];
        if (tile.residual != nullptr)
          result += is_whole ? load(tile.residual + at) : some(tile.residual + at);
        if (is_whole) {
          store(tile.out + at, result);
          continue;
        }
        alignas(Vector) std::byte rest[lanes * sizeof(T)];
        store(reinterpret_cast<T*>(rest), result);
        __builtin_memcpy(tile.out + at, rest, static_cast<std::size_t>(width) * sizeof(T));
      }
  }
}

}  // namespace
}  // namespace DAGUERRE_WINOGRAD_NAMESPACE

const WinogradKernels DAGUERRE_WINOGRAD = {
    DAGUERRE_WINOGRAD_NAME,
    DAGUERRE_WINOGRAD_NAMESPACE::outputs,
    DAGUERRE_WINOGRAD_NAMESPACE::tiles_at_once,
    &DAGUERRE_WINOGRAD_NAMESPACE::transform<float>,
    &DAGUERRE_WINOGRAD_NAMESPACE::transform<bfloat16>,
    &DAGUERRE_WINOGRAD_NAMESPACE::transform_weights,
    &DAGUERRE_WINOGRAD_NAMESPACE::multiply,
    &DAGUERRE_WINOGRAD_NAMESPACE::finish<float>,
    &DAGUERRE_WINOGRAD_NAMESPACE::finish<bfloat16>,
};

}  // namespace daguerre::ops::kernels
