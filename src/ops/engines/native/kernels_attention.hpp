// Attention of one head for one block of queries. Part of kernels_impl.hpp, which includes it inside the
// namespace of one instruction set.
//
// The block is worked on transposed: keys are rows, queries the lanes of two vectors. The logits' maximum and
// sum are then vertical (no sum across a vector ever), keys and values are read as broadcast scalars from a
// stream packed once a head, and head widths need no padding to a vector's length. What is multiplied comes
// in units of 32 bits: a float, or two neighbouring bfloat16 where the processor multiplies those.

constexpr Index query_lanes = 2 * lanes;

/// How many elements of T one unit holds.
template <class T>
constexpr Index per_unit = native_bfloat16&& std::is_same_v<T, bfloat16> ? 2 : 1;

template <class T>
constexpr Index units(Index elements) {
  return (elements + per_unit<T> - 1) / per_unit<T>;
}

/// Keys handled between two corrections of the softmax: whole tiles, an even number, logits in the
/// first-level cache.
constexpr Index key_block = DAGUERRE_VECTOR_BYTES == 64 ? 96 : 120;

/// The 32-bit unit of one or two elements; `second` may be none.
inline float unit_of(const float* first, const float*) {
  return *first;
}
inline float unit_of(const bfloat16* first, const bfloat16* second) {
  if constexpr (native_bfloat16) {
    const std::uint32_t low = first->bits, high = second == nullptr ? 0u : second->bits;
    return std::bit_cast<float>(low | high << 16);
  } else {
    return widen(*first);
  }
}

/// acc += a * b, unit by unit.
template <class T>
inline Vector multiply_add(Vector accumulator, Vector a, Vector b) {
#if DAGUERRE_AVX512_BF16
  if constexpr (per_unit<T> == 2)
    return std::bit_cast<Vector>(_mm512_dpbf16_ps(std::bit_cast<__m512>(accumulator),
                                                  std::bit_cast<__m512bh>(a), std::bit_cast<__m512bh>(b)));
#endif
  return accumulator + a * b;
}

/// Packs `rows` x `depth` elements, element (i, d) at source[i * row_stride + d * depth_stride], into tiles
/// of row_block rows (the last one narrower), each a sequence of units of its rows. Returns the end.
template <class T>
float* pack_tiles(const T* source, Index rows, Index depth, Index row_stride, Index depth_stride,
                  float* packed) {
  for (Index first = 0; first < rows; first += row_block) {
    const Index count = rows - first < row_block ? rows - first : row_block;
    for (Index d = 0; d < depth; d += per_unit<T>) {
      const T* from = source + first * row_stride + d * depth_stride;
      for (Index i = 0; i < count; ++i, from += row_stride)
        *packed++ = unit_of(from, d + 1 < depth ? from + depth_stride : nullptr);
    }
  }
  return packed;
}

template <class T>
void pack_head(const T* key, Index key_stride, const T* value, Index value_stride, Index keys, Index width,
               Index value_width, float* packed) {
  for (Index first = 0; first < keys; first += key_block) {
    const Index count = keys - first < key_block ? keys - first : key_block;
    packed = pack_tiles(key + first * key_stride, count, width, key_stride, 1, packed);
    packed = pack_tiles(value + first * value_stride, value_width, count, 1, value_stride, packed);
  }
}

/// Rows x query_lanes accumulators += tile * block, over `depth` units.
template <class T, int Rows>
inline void multiply_tile(const float* tile, const float* block, Index depth, Vector (&low)[Rows],
                          Vector (&high)[Rows]) {
  for (Index d = 0; d < depth; ++d, tile += Rows, block += query_lanes) {
    const Vector b_low = load(block), b_high = load(block + lanes);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const Vector a = broadcast(tile[r]);
      low[r] = multiply_add<T>(low[r], a, b_low);
      high[r] = multiply_add<T>(high[r], a, b_high);
    }
  }
}

struct QueryLanes {
  Vector low, high;
};

/// The larger of each lane, or the one on the right where either is NaN.
inline Vector larger(Vector a, Vector b) {
#if DAGUERRE_AVX512
  return std::bit_cast<Vector>(_mm512_max_ps(std::bit_cast<__m512>(a), std::bit_cast<__m512>(b)));
#else
  return a > b ? a : b;
#endif
}

/// What is done with logits besides scaling: only cross-attention with a mask and text need it.
struct LogitAdjustment {
  float scale;
  const float* key_bias;         ///< one a key of this block, or none
  const float* relative_bias;    ///< query q's and key j's of this block at [q - j], or none
  Vector first_low, first_high;  ///< how many of this block's keys each query sees
  bool causal;
  float window;    ///< so many before these, and no more
  float soft_cap;  ///< or 0
};

/// c tanh(x / c)
inline Vector soft_capped(Vector x, float cap);

/// logits[key, query] of up to row_block keys, and their running maximum.
template <class T, int Rows>
void logits_tile(const float* tile, const float* queries, Index depth, Index first_key,
                 const LogitAdjustment* adjustment, float* logits, QueryLanes& maximum) {
  Vector low[Rows], high[Rows];
  for (int r = 0; r < Rows; ++r) low[r] = high[r] = Vector{};
  multiply_tile<T, Rows>(tile, queries, depth, low, high);
  for (int r = 0; r < Rows; ++r, logits += query_lanes) {
    if (adjustment != nullptr) {
      const Vector bias =
          broadcast(adjustment->key_bias == nullptr ? 0.0f : adjustment->key_bias[first_key + r]);
      low[r] *= adjustment->scale;
      high[r] *= adjustment->scale;
      if (adjustment->soft_cap > 0.0f) {
        low[r] = soft_capped(low[r], adjustment->soft_cap);
        high[r] = soft_capped(high[r], adjustment->soft_cap);
      }
      low[r] += bias;
      high[r] += bias;
      if (adjustment->relative_bias != nullptr) {
        const float* relative = adjustment->relative_bias - (first_key + r);
        low[r] += load(relative);
        high[r] += load(relative + lanes);
      }
      if (adjustment->causal) {
        const Vector position = broadcast(static_cast<float>(first_key + r)),
                     hidden = broadcast(-__builtin_inff());
        low[r] = position < adjustment->first_low ? low[r] : hidden;
        high[r] = position < adjustment->first_high ? high[r] : hidden;
        low[r] = position < adjustment->first_low - adjustment->window ? hidden : low[r];
        high[r] = position < adjustment->first_high - adjustment->window ? hidden : high[r];
      }
    }
    store(logits, low[r]);
    store(logits + lanes, high[r]);
    maximum.low = larger(low[r], maximum.low);
    maximum.high = larger(high[r], maximum.high);
  }
}

/// accumulator[channel, query] = accumulator * correction + values * weights of up to row_block channels.
template <class T, int Rows>
void values_tile(const float* tile, const float* weights, Index depth, const QueryLanes& correction,
                 float* accumulator) {
  // Summed by itself first: over thousands of keys one long sum in float32 would lose digits.
  Vector low[Rows], high[Rows];
  for (int r = 0; r < Rows; ++r) low[r] = high[r] = Vector{};
  multiply_tile<T, Rows>(tile, weights, depth, low, high);
  for (int r = 0; r < Rows; ++r, accumulator += query_lanes) {
    store(accumulator, load(accumulator) * correction.low + low[r]);
    store(accumulator + lanes, load(accumulator + lanes) * correction.high + high[r]);
  }
}

/// Calls body.template operator()<Rows>(first) for tiles of row_block rows and one for the rest.
template <int Rows, class Body>
inline void with_rows(Index count, Index first, const Body& body) {
  if (count == Rows)
    body.template operator()<Rows>(first);
  else if constexpr (Rows > 1)
    with_rows<Rows - 1>(count, first, body);
}
template <class Body>
inline void in_tiles(Index rows, const Body& body) {
  for (Index first = 0; first < rows; first += row_block)
    with_rows<row_block>(rows - first < row_block ? rows - first : row_block, first, body);
}

using Bits = std::int32_t __attribute__((vector_size(DAGUERRE_VECTOR_BYTES)));

/// 2^x for x <= 0. The polynomials are near-minimax on [0, 1): of relative error 8e-8 for float, and 9e-5
/// where the result will be rounded to bfloat16 (4e-3).
template <class T>
inline Vector exp2_of(Vector x) {
#if DAGUERRE_AVX512
  constexpr int below = 1;  // what remains above the next integer below
  const auto f = std::bit_cast<Vector>(_mm512_reduce_ps(std::bit_cast<__m512>(x), below));
#else
  // Below the smallest normal number the result stays there, instead of going to zero.
  x = larger(broadcast(-126.0f), x);
  constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the lowest bits
  const Vector rounded = (x - 0.5f) + magic;
  const Vector f = x - (rounded - magic);
#endif
  Vector p;
  if constexpr (per_unit<T> == 2)
    p = (7.706704640e-2f * f + 2.276449838e-1f) * f + 6.951167894e-1f;
  else
    p = (((1.867130150e-3f * f + 9.017030101e-3f) * f + 5.579991332e-2f) * f + 2.401644501e-1f) * f +
        6.931513118e-1f;
  p = p * f + 1.0f;
#if DAGUERRE_AVX512
  return std::bit_cast<Vector>(_mm512_scalef_ps(std::bit_cast<__m512>(p), std::bit_cast<__m512>(x)));
#else
  return std::bit_cast<Vector>(std::bit_cast<Bits>(p) + (std::bit_cast<Bits>(rounded) << 23));
#endif
}

inline Vector soft_capped(Vector x, float cap) {
  const Vector y = x / cap, a = y < 0.0f ? -y : y, squared = a * a;
  // Below 0.3 by its series, since 1 - e loses digits there.
  const Vector series =
      a * ((((2.1869488e-2f * squared - 5.3968254e-2f) * squared + 1.3333333e-1f) * squared - 3.3333333e-1f) *
               squared +
           1.0f);
  const Vector e = exp2_of<float>(a * -2.88539008f);
  const Vector tanh = a < 0.3f ? series : (1.0f - e) / (1.0f + e);
  return cap * (y < 0.0f ? -tanh : tanh);
}

/// Two rows of weights as one row of units: even key in the lower half.
inline Vector paired([[maybe_unused]] Vector even, [[maybe_unused]] Vector odd) {
#if DAGUERRE_AVX512_BF16
  alignas(64) static constexpr std::uint16_t interleave[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                               21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                               11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const auto both = _mm512_cvtne2ps_pbh(std::bit_cast<__m512>(odd), std::bit_cast<__m512>(even));
  return std::bit_cast<Vector>(
      _mm512_permutexvar_epi16(_mm512_load_si512(interleave), std::bit_cast<__m512i>(both)));
#else
  return even;
#endif
}

/// Turns logits[rows, queries] into weights for multiply_tile, in place, and adds them to `sum`.
template <class T>
void exponentials(float* logits, Index rows, float scale, const QueryLanes& maximum, QueryLanes& sum) {
  const Vector low_offset = maximum.low * scale, high_offset = maximum.high * scale;
  float* out = logits;
  const auto weights = [&](const float* row) {
    const QueryLanes w{exp2_of<T>(load(row) * scale - low_offset),
                       exp2_of<T>(load(row + lanes) * scale - high_offset)};
    sum.low += w.low;
    sum.high += w.high;
    return w;
  };
  for (Index row = 0; row < rows; row += per_unit<T>, out += query_lanes) {
    QueryLanes w = weights(logits + row * query_lanes);
    if constexpr (per_unit<T> == 2) {
      const QueryLanes odd =
          row + 1 < rows ? weights(logits + (row + 1) * query_lanes) : QueryLanes{Vector{}, Vector{}};
      w = {paired(w.low, odd.low), paired(w.high, odd.high)};
    }
    store(out, w.low);
    store(out + lanes, w.high);
  }
}

/// Writes the relative biases of `count` queries from `first_query` and `keys` keys from `first_key`, so that
/// for a key they lie side by side: query q's and key j's, of these, at [q - j]. Gives the place of [0].
template <class T>
const float* relative_window(const AttentionHead<T>& head, Index first_query, Index count, Index first_key,
                             Index keys, float* window) {
  float* const at = window + key_block;
  for (Index i = 1 - keys; i < query_lanes; ++i)
    at[i] = i < count ? head.relative_bias[(first_key - first_query - i) * head.relative_stride] : 0.0f;
  return at;
}

/// The most blocks of queries that pass over the keys together, so that these come from memory once for all
/// of them: by one block alone, 32 KB of keys and values would be read for every 16 MFLOP.
constexpr Index query_blocks = 4;

/// What one block of queries keeps while it passes over the keys.
struct QueryBlock {
  float* queries;      ///< [units, query_lanes]
  float* accumulator;  ///< [value_width, query_lanes]
  Index first = 0, count = 0, seen = 0;
  Index unseen = 0;  ///< keys before all that any of its queries sees
  QueryLanes maximum, sum;
};

template <class T>
Index attention_scratch(Index width, Index value_width) {
  return query_lanes * (query_blocks * (units<T>(width) + value_width) + key_block + 1) + key_block;
}

/// Lays out `count` queries in lanes, the last one in those that are left over.
template <class T>
void pack_queries(const T* query, Index query_stride, Index count, Index width, float* packed) {
  for (Index d = 0; d < units<T>(width); ++d)
    for (Index q = 0; q < query_lanes; ++q) {
      const T* from = query + (q < count ? q : count - 1) * query_stride + d * per_unit<T>;
      *packed++ = unit_of(from, (d + 1) * per_unit<T> <= width ? from + 1 : nullptr);
    }
}

/// What is the same for all blocks of keys.
template <class T>
struct AttentionPass {
  const AttentionHead<T>& head;
  bool adjusts;
  float scale;  ///< of the logits in the exponents
  float *logits, *window;
};

/// Takes the `keys` keys and values from key `first` on, which are at `packed`, into a block's sums.
template <class T>
void attend_to_keys(const AttentionPass<T>& pass, const float* packed, Index first, Index keys,
                    QueryBlock& block) {
  const auto& head = pass.head;
  const Index depth = units<T>(head.width);
  LogitAdjustment adjustment{head.scale,
                             nullptr,
                             nullptr,
                             Vector{},
                             Vector{},
                             head.causal,
                             head.window > 0 ? static_cast<float>(head.window) : __builtin_inff(),
                             head.soft_cap};
  if (pass.adjusts) {
    adjustment.key_bias = head.key_bias == nullptr ? nullptr : head.key_bias + first;
    if (head.relative_bias != nullptr)
      adjustment.relative_bias = relative_window(head, block.first, block.count, first, keys, pass.window);
    for (Index q = 0; q < lanes; ++q) {
      adjustment.first_low[q] = static_cast<float>(block.first + q + 1 - first);
      adjustment.first_high[q] = static_cast<float>(block.first + lanes + q + 1 - first);
    }
  }
  const QueryLanes before = block.maximum;
  in_tiles(keys, [&]<int Rows>(Index row) {
    logits_tile<T, Rows>(packed + row * depth, block.queries, depth, row,
                         pass.adjusts ? &adjustment : nullptr, pass.logits + row * query_lanes,
                         block.maximum);
  });
  const QueryLanes correction{exp2_of<T>((before.low - block.maximum.low) * pass.scale),
                              exp2_of<T>((before.high - block.maximum.high) * pass.scale)};
  QueryLanes block_sum{Vector{}, Vector{}};
  exponentials<T>(pass.logits, keys, pass.scale, block.maximum, block_sum);
  block.sum = {block.sum.low * correction.low + block_sum.low,
               block.sum.high * correction.high + block_sum.high};
  packed += keys * depth;
  const Index value_depth = units<T>(keys);
  in_tiles(head.value_width, [&]<int Rows>(Index channel) {
    values_tile<T, Rows>(packed + channel * value_depth, pass.logits, value_depth, correction,
                         block.accumulator + channel * query_lanes);
  });
}

/// A block's results, divided by the sums of their weights.
template <class T>
void write_attended(const QueryBlock& block, Index value_width, T* out, Index out_stride) {
  for (Index c = 0; c < value_width; ++c) {
    float* row = block.accumulator + c * query_lanes;
    store(row, load(row) / block.sum.low);
    store(row + lanes, load(row + lanes) / block.sum.high);
  }
  float values[chunk];
  for (Index q = 0; q < block.count; ++q)
    in_chunks(value_width, [&](Index i, Index length) {
      for (Index c = 0; c < length; ++c) values[c] = block.accumulator[(i + c) * query_lanes + q];
      from_float(values, out + q * out_stride + i, length);
    });
}

template <class T>
void attend(const AttentionHead<T>& head, const T* query, Index query_stride, Index count, Index first_query,
            T* out, Index out_stride, float* scratch) {
  constexpr float log2_of_e = 1.44269504f;
  const Index depth = units<T>(head.width);
  AttentionPass<T> pass{head,
                        head.key_bias != nullptr || head.relative_bias != nullptr || head.causal ||
                            head.soft_cap > 0.0f || head.scale <= 0.0f,
                        0.0f, scratch, scratch + query_lanes * key_block};
  pass.scale = pass.adjusts ? log2_of_e : head.scale * log2_of_e;
  scratch = pass.window + query_lanes + key_block;

  QueryBlock blocks[query_blocks];
  const Index used = (count + query_lanes - 1) / query_lanes;
  for (Index b = 0; b < used; ++b) {
    auto& block = blocks[b];
    block.queries = scratch;
    block.accumulator = scratch + query_lanes * depth;
    scratch = block.accumulator + query_lanes * head.value_width;
    block.count = count - b * query_lanes < query_lanes ? count - b * query_lanes : query_lanes;
    block.first = first_query + b * query_lanes;
    block.seen = head.causal && block.first + block.count < head.keys ? block.first + block.count : head.keys;
    block.unseen = head.causal && head.window > 0 ? block.first + 1 - head.window : 0;
    // Far below any logit, and yet its difference to itself is a number.
    block.maximum = {broadcast(-1e30f), broadcast(-1e30f)};
    block.sum = {Vector{}, Vector{}};
    pack_queries(query + b * query_lanes * query_stride, query_stride, block.count, head.width,
                 block.queries);
    for (Index i = 0; i < query_lanes * head.value_width; ++i) block.accumulator[i] = 0.0f;
  }

  const float* packed = head.packed;
  for (Index first = 0; first < blocks[used - 1].seen; first += key_block) {
    const Index keys = head.keys - first < key_block ? head.keys - first : key_block;
    for (Index b = 0; b < used; ++b)
      if (first < blocks[b].seen && first + keys > blocks[b].unseen)
        attend_to_keys(pass, packed, first, keys, blocks[b]);
    packed += keys * depth + head.value_width * units<T>(keys);
  }
  for (Index b = 0; b < used; ++b)
    write_attended(blocks[b], head.value_width, out + b * query_lanes * out_stride, out_stride);
}
