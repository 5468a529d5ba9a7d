#include <algorithm>

#include "ops/engines/engines.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {

template <class T>
Tensor<T> blockwise_attention(const Context& context, const AttentionArguments<T>& a) {
  check_attention(a);
  auto y = context.empty<T>({a.query.batch, a.query.length, a.value.width});
  const auto& kernel = kernels::active().of<T>();
  const Index width = a.query.width / a.heads, value_width = a.value.width / a.heads;
  const Index heads = a.query.batch * a.heads;
  const Index packed_size = kernel.packed_head_size(a.key.length, width, value_width);
  const auto at = [&](const TokenView<T>& view, Index head, Index token) {
    return view.data + (head / a.heads * view.length + token) * view.stride +
           head % a.heads * (view.width / a.heads);
  };

  // Every block of a head's queries reads the same keys and values, so those are packed first.
  auto packed = context.empty<float>({heads, packed_size});
  parallel_for(context.threads, heads, 1, [&](Index begin, Index end) {
    for (Index head = begin; head < end; ++head)
      kernel.pack_head(at(a.key, head, 0), a.key.stride, at(a.value, head, 0), a.value.stride, a.key.length,
                       width, value_width, packed.data() + head * packed_size);
  });

  const Index blocks = (a.query.length + kernel.attention_queries - 1) / kernel.attention_queries;
  parallel_for(context.threads, heads * blocks, 1, [&](Index begin, Index end) {
    auto scratch = context.empty<float>({kernel.attention_scratch_size(width, value_width)});
    for (Index task = begin; task < end; ++task) {
      context.check_stop();
      const Index head = task / blocks, n = head / a.heads, first = task % blocks * kernel.attention_queries;
      const kernels::AttentionHead<T> packed_head{
          packed.data() + head * packed_size,
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
                    std::min(kernel.attention_queries, a.query.length - first), first,
                    y.data() + (n * a.query.length + first) * a.value.width + head % a.heads * value_width,
                    a.value.width, scratch.data());
    }
  });
  return y;
}

template Tensor<float> blockwise_attention(const Context&, const AttentionArguments<float>&);
template Tensor<bfloat16> blockwise_attention(const Context&, const AttentionArguments<bfloat16>&);

}  // namespace daguerre::ops
