#include <algorithm>

#include "ops/engines/engines.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {
namespace {

/// Floats of a head's keys and values above which several blocks of queries pass over them together: about
/// what stays in a core's second-level cache.
constexpr Index cached_head = 256 * 1024;

/// Floats of the heads that are packed at once, unless one alone has more.
constexpr Index most_packed = 32 * 1024 * 1024;

}  // namespace

template <class T>
Tensor<T> blockwise_attention(const Context& context, const AttentionArguments<T>& a) {
  check_attention(a);
  auto y = context.empty<T>({a.query.batch, a.query.length, a.value.width});
  T* const results = y.data();
  const auto& kernel = kernels::active().of<T>();
  const Index width = a.query.width / a.heads, value_width = a.value.width / a.heads;
  const Index heads = a.query.batch * a.heads;
  const Index packed_size = kernel.packed_head_size(a.key.length, width, value_width);
  const auto at = [&](const TokenView<T>& view, Index head, Index token) {
    return view.data + (head / a.heads * view.length + token) * view.stride +
           head % a.heads * (view.width / a.heads);
  };

  const Index together = packed_size > cached_head ? kernel.attention_blocks : 1;
  const Index queries = kernel.attention_queries * together;
  const Index tasks = (a.query.length + queries - 1) / queries;  // of a head
  const auto attend = [&](const float* packed, Index head, Index first, float* scratch) {
    const Index n = head / a.heads;
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
            : a.relative_bias->data() + (a.query.length - 1) * a.heads + head % a.heads,
        a.heads};
    kernel.attend(packed_head, at(a.query, head, first), a.query.stride,
                  std::min(queries, a.query.length - first), first,
                  results + (n * a.query.length + first) * a.value.width + head % a.heads * value_width,
                  a.value.width, scratch);
  };

  // Every block of a head's queries reads the same keys and values, so those are packed first; of long
  // sequences those of a few heads at a time.
  const Index group =
      std::clamp<Index>(most_packed / std::max<Index>(packed_size, 1), 1, std::max<Index>(heads, 1));
  auto packed = context.empty<float>({std::min(group, heads), packed_size});
  float* const packs = packed.data();
  for (Index before = 0; before < heads; before += group) {
    const Index count = std::min(group, heads - before);
    parallel_for(context.threads, count, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        kernel.pack_head(at(a.key, before + i, 0), a.key.stride, at(a.value, before + i, 0), a.value.stride,
                         a.key.length, width, value_width, packs + i * packed_size);
    });
    parallel_for(context.threads, count * tasks, 1, [&](Index begin, Index end) {
      auto scratch = context.empty<float>({kernel.attention_scratch_size(width, value_width)});
      for (Index task = begin; task < end; ++task) {
        context.check_stop();
        const Index i = task / tasks;
        attend(packs + i * packed_size, before + i, task % tasks * queries, scratch.data());
      }
    });
  }
  return y;
}

template Tensor<float> blockwise_attention(const Context&, const AttentionArguments<float>&);
template Tensor<bfloat16> blockwise_attention(const Context&, const AttentionArguments<bfloat16>&);

}  // namespace daguerre::ops
