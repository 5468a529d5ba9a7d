// Attention of few queries to keys and values where they are stored: a step of a language model, whose keys
// are read once and are all that costs. Part of kernels_impl.hpp, which includes it inside the namespace of
// one instruction set.
//
// Here channels are the lanes: rows of keys and values are read as they lie, in T, and widened in registers;
// the queries of all heads that share them are worked on together.

constexpr Index row_keys = 256;
/// More queries, and laying out keys once for all of them is worth its time.
constexpr Index most_rows = 16;
/// Queries whose sums are in registers at once, two vectors each.
constexpr int row_tile = 4;

inline Vector load_wide(const float* from) {
  return load(from);
}
inline Vector load_wide(const bfloat16* from) {
  using Narrow = std::uint16_t __attribute__((vector_size(DAGUERRE_VECTOR_BYTES / 2)));
  using Wide = std::uint32_t __attribute__((vector_size(DAGUERRE_VECTOR_BYTES)));
  Narrow bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return std::bit_cast<Vector>(__builtin_convertvector(bits, Wide) << 16);
}

inline float sum_of(Vector x) {
  float values[lanes];
  store(values, x);
  for (Index step = lanes / 2; step > 0; step /= 2)
    for (Index i = 0; i < step; ++i) values[i] += values[i + step];
  return values[0];
}

/// logits[row, key] of Rows queries and all keys, scaled.
template <class T, int Rows>
void row_logits(const AttentionRows<T>& a, Index first_row, float* logits) {
  const float* const queries = a.queries + first_row * a.width;
  const Index whole = a.width - a.width % lanes;
  for (Index j = 0; j < a.keys; ++j) {
    const T* const key = a.key + j * a.key_stride;
    Vector sums[Rows];
    for (int r = 0; r < Rows; ++r) sums[r] = Vector{};
    for (Index d = 0; d < whole; d += lanes) {
      const Vector k = load_wide(key + d);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) sums[r] += load(queries + r * a.width + d) * k;
    }
    for (int r = 0; r < Rows; ++r) {
      float sum = sum_of(sums[r]);
      for (Index d = whole; d < a.width; ++d) sum += queries[r * a.width + d] * widen(key[d]);
      logits[(first_row + r) * row_keys + j] = sum * a.scale;
    }
  }
}

/// What Rows queries take of the values: weights[row, key] times values[key, channel].
template <class T, int Rows>
void row_values(const AttentionRows<T>& a, Index first_row, const float* weights, float* partial) {
  const Index row_size = 2 + a.value_width;
  const float* const w = weights + first_row * row_keys;
  float* const out = partial + first_row * row_size + 2;
  Index d = 0;
  for (; d + 2 * lanes <= a.value_width; d += 2 * lanes) {
    Vector low[Rows], high[Rows];
    for (int r = 0; r < Rows; ++r) low[r] = high[r] = Vector{};
    const T* value = a.value + d;
    for (Index j = 0; j < a.keys; ++j, value += a.value_stride) {
      const Vector v_low = load_wide(value), v_high = load_wide(value + lanes);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        low[r] += w[r * row_keys + j] * v_low;
        high[r] += w[r * row_keys + j] * v_high;
      }
    }
    for (int r = 0; r < Rows; ++r) {
      store(out + r * row_size + d, low[r]);
      store(out + r * row_size + d + lanes, high[r]);
    }
  }
  for (; d < a.value_width; ++d)
    for (int r = 0; r < Rows; ++r) {
      float sum = 0.0f;
      for (Index j = 0; j < a.keys; ++j) sum += w[r * row_keys + j] * widen(a.value[j * a.value_stride + d]);
      out[r * row_size + d] = sum;
    }
}

/// Turns the logits of one row into weights, in place, and writes their greatest and their sum.
template <class T>
void row_weights(const AttentionRows<T>& a, Index row, float* logits, float* partial) {
  constexpr float log2_of_e = 1.44269504f;
  const Index padded = (a.keys + lanes - 1) / lanes * lanes;
  for (Index j = a.keys; j < padded; ++j) logits[j] = 0.0f;
  if (a.soft_cap > 0.0f)
    for (Index j = 0; j < padded; j += lanes) store(logits + j, soft_capped(load(logits + j), a.soft_cap));
  if (a.key_bias != nullptr)
    for (Index j = 0; j < a.keys; ++j) logits[j] += a.key_bias[j];
  const Index first = a.first[row] < padded ? a.first[row] : padded,
              end = a.end[row] < a.keys ? a.end[row] : a.keys;
  for (Index j = 0; j < first; ++j) logits[j] = -__builtin_inff();
  for (Index j = end > 0 ? end : 0; j < padded; ++j) logits[j] = -__builtin_inff();
  Vector greatest = broadcast(-1e30f);  // see attend
  for (Index j = 0; j < padded; j += lanes) greatest = larger(load(logits + j), greatest);
  float maximum = greatest[0];
  for (Index i = 1; i < lanes; ++i) maximum = greatest[i] > maximum ? greatest[i] : maximum;
  Vector sum{};
  for (Index j = 0; j < padded; j += lanes) {
    const Vector weight = exp2_of<T>((load(logits + j) - maximum) * log2_of_e);
    store(logits + j, weight);
    sum += weight;
  }
  partial[0] = maximum;
  partial[1] = sum_of(sum);
}

template <class T>
void attend_rows(const AttentionRows<T>& a, float* partial) {
  alignas(64) float logits[most_rows * row_keys];
  const auto in_row_tiles = [&](const auto& body) {
    for (Index first = 0; first < a.rows; first += row_tile)
      with_rows<row_tile>(a.rows - first < row_tile ? a.rows - first : row_tile, first, body);
  };
  in_row_tiles([&]<int Rows>(Index first) { row_logits<T, Rows>(a, first, logits); });
  for (Index row = 0; row < a.rows; ++row)
    row_weights(a, row, logits + row * row_keys, partial + row * (2 + a.value_width));
  in_row_tiles([&]<int Rows>(Index first) { row_values<T, Rows>(a, first, logits, partial); });
}
