#pragma once

#include <cstddef>
#include <vector>

#include "daguerre/ops/detail/rows.hpp"

/// The inner loops, compiled once for each instruction set and chosen at run time. Everything here works on
/// raw rows in one thread; shapes, threads and tensors are the callers' business.
namespace daguerre::ops::kernels {

/// What a block of a product's result goes through on its way from the float32 accumulators to memory:
/// out = activation(accumulator + bias) + residual.
struct Epilogue {
  const float* bias = nullptr;  ///< one a column, or none
  Activation activation = Activation::none;
  const float* residual = nullptr;  ///< or none
};

/// One head's keys and values for `attend`, as `pack_head` laid them out.
template <class T>
struct AttentionHead {
  const float* packed = nullptr;
  Index keys = 0;
  Index width = 0;        ///< of queries and keys
  Index value_width = 0;  ///< of values and results
  float scale = 1.0f;
  const float* key_bias = nullptr;  ///< one a key, or none
  bool causal = false;
  /// [(j - i) * relative_stride] for query i and key j, or none.
  const float* relative_bias = nullptr;
  Index relative_stride = 1;
  Index window = 0;       ///< with `causal`: keys that a query sees, its own the last; 0: all before it
  float soft_cap = 0.0f;  ///< c: logits are c tanh(logits / c); 0: as they are
};

/// Some keys and values of one head, where they are stored, and the few queries that ask for them: those of
/// all heads that share them, and of several tokens perhaps.
template <class T>
struct AttentionRows {
  const T* key = nullptr;  ///< of the first key
  Index key_stride = 0;
  const T* value = nullptr;
  Index value_stride = 0;
  Index keys = 0;                  ///< no more than `attention_row_keys`
  Index width = 0;                 ///< of queries and keys
  Index value_width = 0;           ///< of values and results
  const float* queries = nullptr;  ///< [rows, width]
  Index rows = 0;
  const Index* first = nullptr;  ///< for each row, the first of the keys that it sees
  const Index* end = nullptr;    ///< and the one behind the last; no more than `first` where it sees none
  float scale = 1.0f;
  float soft_cap = 0.0f;            ///< c: logits are c tanh(logits / c); 0: as they are
  const float* key_bias = nullptr;  ///< one a key, or none
};

/// Kernels for what products multiply, float or bfloat16. Everything between the products is float32.
template <class T>
struct RowKernels : detail::RowFunctions<T> {
  /// c[m, n] += rows[m, k] * panels, in float32. `rows[i]` points to k elements; `panels` is the first
  /// panel's k-th row to begin with (see `pack_panels`), `panel_size` the distance between panels.
  void (*multiply)(const T* const* rows, Index m, Index k, const float* panels, Index panel_size, Index n,
                   float* c, Index c_stride);
  /// Finishes `rows` x `columns` accumulators; the residual, where there is one, is laid out as the result.
  void (*finish)(const float* accumulators, Index stride, Index rows, Index columns, const Epilogue& epilogue,
                 T* out, Index out_stride);
  /// How many queries `attend` works on at once, and the most blocks of so many that a call takes: they pass
  /// over the keys together. The results are the same however queries are divided into calls at a block's
  /// end.
  Index attention_queries, attention_blocks;
  /// Floats that `pack_head` writes, and that `attend` works in.
  Index (*packed_head_size)(Index keys, Index width, Index value_width);
  Index (*attention_scratch_size)(Index width, Index value_width);
  /// Packs one head's keys and values; their rows begin `stride` apart.
  void (*pack_head)(const T* key, Index key_stride, const T* value, Index value_stride, Index keys,
                    Index width, Index value_width, float* packed);
  /// Attention of `count` queries, of which the first is token `first_query`, in one pass
  /// over the keys with the online softmax (Milakov & Gimelshein 2018).
  void (*attend)(const AttentionHead<T>& head, const T* query, Index query_stride, Index count,
                 Index first_query, T* out, Index out_stride, float* scratch);
  /// How many keys `attend_rows` takes at most, and how many queries are worth it.
  Index attention_row_keys, attention_rows;
  /// What the queries find among these keys: for each row the greatest logit, the sum of the weights
  /// e^(logit - greatest), and the values' sums with these weights, `[rows, 2 + value_width]`, to
  /// be brought together with those of other keys.
  void (*attend_rows)(const AttentionRows<T>& rows, float* partial);
};

struct Kernels {
  const char* instruction_set;
  /// Columns of a panel of `pack_panels`.
  Index panel_width;
  /// Rows that `multiply` works on at once; a multiple of it wastes nothing.
  Index row_block;
  /// Packs a [k, n] matrix, element (i, j) at source[i * k_stride + j * n_stride], into ceil(n / panel_width)
  /// panels of k rows of panel_width, the last one padded with zeros.
  void (*pack_panels)(const float* source, Index k, Index n, Index k_stride, Index n_stride, float* panels);
  /// IEEE binary16, at any address, to float32.
  void (*half_to_float)(const std::byte* x, float* y, Index count);
  /// bfloat16, at any address, to float32.
  void (*bfloat16_to_float)(const std::byte* x, float* y, Index count);
  void (*activate)(const float* x, float* y, Index count, Activation activation);
  /// y = (a + b) * scale
  void (*add)(const float* a, const float* b, float* y, Index count, float scale);
  RowKernels<float> f32;
  RowKernels<bfloat16> bf16;

  template <class T>
  const RowKernels<T>& of() const noexcept {
    if constexpr (std::is_same_v<T, float>)
      return f32;
    else
      return bf16;
  }
};

/// Every set that this processor can run, best first.
std::vector<const Kernels*> available();
/// The best of them.
const Kernels& active() noexcept;

// One of these for each instruction set that is compiled in.
extern const Kernels baseline;
extern const Kernels avx2;
extern const Kernels avx512;
extern const Kernels avx512_bf16;

}  // namespace daguerre::ops::kernels
