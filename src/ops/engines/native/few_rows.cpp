#include "ops/engines/native/few_rows.hpp"

#include "ops/blocks/block_rows.hpp"

namespace daguerre::ops {
namespace {

/// Bytes from one row to the next where rows can be read in place; else 0.
Index stored_row_bytes(const WeightSource& source, Index row_size) {
  if (source.decoder == nullptr) return row_size * static_cast<Index>(size_of(source.dtype));
  const auto* const blocks = dynamic_cast<const blocks::BlockRows*>(source.decoder.get());
  if (blocks == nullptr || blocks->lead() != 0) return 0;
  const auto block = block_of(source.dtype);
  return row_size % block.elements == 0 ? row_size / block.elements * block.bytes : 0;
}

}  // namespace

template <class T>
FewRowsWeights<T>::FewRowsWeights(Weight weight) : weight_(std::move(weight)) {
  Index first = 0;
  for (const auto& source : weight_.sources()) {
    Piece piece{.first = first, .count = source.shape[0], .bytes = source.bytes.data()};
    piece.row_bytes = stored_row_bytes(source, weight_.row_size());
    const bool is_rounded = std::is_same_v<T, bfloat16> && source.dtype != DType::bf16;
    if (piece.row_bytes > 0) piece.dot = kernels::active_dots().of({source.dtype, is_rounded});
    pieces_.push_back(piece);
    first += piece.count;
  }
}

template <class T>
void FewRowsWeights<T>::dot(const Context& context, Index first, Index count, const float* x, Index x_stride,
                            Index m, float* sums, Index sums_stride) const {
  const Index k = weight_.row_size(), end = first + count;
  for (const auto& piece : pieces_) {
    const Index from = std::max(first, piece.first), to = std::min(end, piece.first + piece.count);
    if (from >= to) continue;
    float* const out = sums + (from - first);
    if (piece.dot != nullptr) {
      piece.dot(piece.bytes + (from - piece.first) * piece.row_bytes, piece.row_bytes, to - from, k, x,
                x_stride, m, out, sums_stride);
      continue;
    }
    auto rows = context.empty<T>({to - from, k});
    weight_.read(from, to, rows.data());
    kernels::active_dots().of({dtype_of<T>(), false})(
        reinterpret_cast<const std::byte*>(std::as_const(rows).data()), k * static_cast<Index>(sizeof(T)),
        to - from, k, x, x_stride, m, out, sums_stride);
  }
}

template class FewRowsWeights<float>;
template class FewRowsWeights<bfloat16>;

}  // namespace daguerre::ops
