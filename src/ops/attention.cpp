#include <algorithm>
#include <cmath>
#include <vector>

#include "daguerre/ops/detail/rows.hpp"
#include "ops/engines/engines.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {
namespace {

/// Floats of a head's keys and values above which several blocks of queries pass over them together: about
/// what stays in a core's second-level cache.
constexpr Index cached_head = 256 * 1024;

/// Floats of the heads that are packed at once, unless one alone has more.
constexpr Index most_packed = 32 * 1024 * 1024;

/// Of a head's column in a view whose columns are those of `heads` heads.
template <class T>
const T* at_head(const TokenView<T>& view, Index n, Index token, Index head, Index heads) {
  return view.at(n, token) + head * (view.width / heads);
}

/// What several spans of keys gave one query, `[spans, row_size]`, brought together.
template <class T>
void merge_spans(const float* partials, Index spans, Index span_size, Index width, T* out) {
  float greatest = partials[0];
  for (Index s = 1; s < spans; ++s) greatest = std::max(greatest, partials[s * span_size]);
  std::vector<float> values(static_cast<std::size_t>(width));
  float sum = 0.0f;
  for (Index s = 0; s < spans; ++s) {
    const float* const part = partials + s * span_size;
    const float weight = std::exp(part[0] - greatest);
    sum += part[1] * weight;
    for (Index c = 0; c < width; ++c) values[static_cast<std::size_t>(c)] += part[2 + c] * weight;
  }
  for (float& value : values) value /= sum;
  detail::row_functions<T>().from_float(values.data(), out, width);
}

/// Few queries, as in a step of a language model: keys and values are read where they are stored, once for
/// all the heads that share them. Long stores are divided into spans, so that all threads read.
template <class T>
Tensor<T> attention_in_place(const Context& context, const AttentionArguments<T>& a) {
  const auto& kernel = kernels::active().of<T>();
  const Index length = a.query.length, key_heads = a.heads_of_keys(), shared = a.heads / key_heads;
  const Index width = a.query.width / a.heads, value_width = a.value_width();
  const Index rows = shared * length, row_size = 2 + value_width;
  const Index begin = a.causal && a.window > 0 ? std::max<Index>(0, a.first_query + 1 - a.window) : 0;
  const Index end = a.causal ? std::min(a.key.length, a.first_query + length) : a.key.length;
  const Index spans = (end - begin + kernel.attention_row_keys - 1) / kernel.attention_row_keys;
  const Index groups = a.query.batch * key_heads;
  auto partial = context.empty<float>({groups, spans, rows, row_size});
  float* const partials = partial.data();
  parallel_for(context.threads, groups * spans, 1, [&](Index first_task, Index end_task) {
    std::vector<float> queries(static_cast<std::size_t>(rows * width));
    std::vector<Index> first_seen(static_cast<std::size_t>(rows)), end_seen(static_cast<std::size_t>(rows));
    for (Index task = first_task; task < end_task; ++task) {
      context.check_stop();
      const Index n = task / spans / key_heads, head = task / spans % key_heads;
      const Index first = begin + task % spans * kernel.attention_row_keys;
      for (Index row = 0; row < rows; ++row) {
        const Index i = row % length, seen = a.first_query + i + 1;
        kernel.to_float(at_head(a.query, n, i, head * shared + row / length, a.heads),
                        queries.data() + row * width, width);
        const auto index = static_cast<std::size_t>(row);
        first_seen[index] = a.causal && a.window > 0 ? std::max<Index>(0, seen - a.window - first) : 0;
        end_seen[index] = (a.causal ? std::min(seen, a.key.length) : a.key.length) - first;
      }
      kernel.attend_rows(
          {.key = at_head(a.key, n, first, head, key_heads),
           .key_stride = a.key.stride,
           .value = at_head(a.value, n, first, head, key_heads),
           .value_stride = a.value.stride,
           .keys = std::min(kernel.attention_row_keys, end - first),
           .width = width,
           .value_width = value_width,
           .queries = queries.data(),
           .rows = rows,
           .first = first_seen.data(),
           .end = end_seen.data(),
           .scale = a.scale,
           .soft_cap = a.soft_cap,
           .key_bias = a.key_bias == nullptr ? nullptr : a.key_bias->data() + n * a.key.length + first},
          partials + task * rows * row_size);
    }
  });
  auto y = context.empty<T>({a.query.batch, length, a.heads * value_width});
  T* const results = y.data();
  parallel_for(context.threads, groups * rows, 8, [&](Index first, Index last) {
    for (Index i = first; i < last; ++i) {
      const Index group = i / rows, row = i % rows, token = row % length;
      const Index head = group % key_heads * shared + row / length;
      merge_spans(partials + (group * spans * rows + row) * row_size, spans, rows * row_size, value_width,
                  results + ((group / key_heads * length + token) * a.heads + head) * value_width);
    }
  });
  return y;
}

}  // namespace

template <class T>
Tensor<T> blockwise_attention(const Context& context, const AttentionArguments<T>& a) {
  check_attention(a);
  const Index shared = a.heads / a.heads_of_keys();
  if (a.relative_bias == nullptr && a.query.length * shared <= kernels::active().of<T>().attention_rows)
    return attention_in_place(context, a);
  const Index value_width = a.value_width(), row = a.heads * value_width;
  auto y = context.empty<T>({a.query.batch, a.query.length, row});
  T* const results = y.data();
  const auto& kernel = kernels::active().of<T>();
  const Index width = a.query.width / a.heads, key_heads = a.heads_of_keys();
  const Index heads = a.query.batch * key_heads;
  const Index packed_size = kernel.packed_head_size(a.key.length, width, value_width);

  const Index together = packed_size > cached_head ? kernel.attention_blocks : 1;
  const Index queries = kernel.attention_queries * together;
  const Index tasks = (a.query.length + queries - 1) / queries;  // of a head of queries
  const auto attend = [&](const float* packed, Index n, Index head, Index first, float* scratch) {
    const kernels::AttentionHead<T> packed_head{
        packed,
        a.key.length,
        width,
        value_width,
        a.scale,
        a.key_bias == nullptr ? nullptr : a.key_bias->data() + n * a.key.length,
        a.causal,
        a.relative_bias == nullptr
            ? nullptr
            : a.relative_bias->data() + (a.query.length + a.first_query - 1) * a.heads + head,
        a.heads,
        a.window,
        a.soft_cap};
    kernel.attend(packed_head, at_head(a.query, n, first, head, a.heads), a.query.stride,
                  std::min(queries, a.query.length - first), a.first_query + first,
                  results + (n * a.query.length + first) * row + head * value_width, row, scratch);
  };

  // Every block of queries of the heads that share keys and values reads the same, so those are packed first;
  // of long sequences those of a few heads at a time.
  const Index group =
      std::clamp<Index>(most_packed / std::max<Index>(packed_size, 1), 1, std::max<Index>(heads, 1));
  auto packed = context.empty<float>({std::min(group, heads), packed_size});
  float* const packs = packed.data();
  for (Index before = 0; before < heads; before += group) {
    const Index count = std::min(group, heads - before);
    parallel_for(context.threads, count, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        kernel.pack_head(at_head(a.key, (before + i) / key_heads, 0, (before + i) % key_heads, key_heads),
                         a.key.stride,
                         at_head(a.value, (before + i) / key_heads, 0, (before + i) % key_heads, key_heads),
                         a.value.stride, a.key.length, width, value_width, packs + i * packed_size);
    });
    parallel_for(context.threads, count * shared * tasks, 1, [&](Index begin, Index end) {
      auto scratch = context.empty<float>({kernel.attention_scratch_size(width, value_width)});
      for (Index task = begin; task < end; ++task) {
        context.check_stop();
        const Index i = task / tasks / shared, key_head = before + i;
        attend(packs + i * packed_size, key_head / key_heads,
               key_head % key_heads * shared + task / tasks % shared, task % tasks * queries, scratch.data());
      }
    });
  }
  return y;
}

template Tensor<float> blockwise_attention(const Context&, const AttentionArguments<float>&);
template Tensor<bfloat16> blockwise_attention(const Context&, const AttentionArguments<bfloat16>&);

}  // namespace daguerre::ops
