#include "ops/engines/native/winograd_weights.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace daguerre::ops {
namespace {

/// The type that all of a weight's numbers are stored as, if they can stay so; else T.
template <class T>
DType kept_dtype(const Weight& weight) {
  if (!std::is_same_v<T, float>) return dtype_of<T>();
  const auto sources = weight.sources();
  for (const DType dtype : {DType::f16, DType::bf16})
    if (std::all_of(sources.begin(), sources.end(), [&](const WeightSource& source) {
          return source.decoder == nullptr && source.dtype == dtype;
        }))
      return dtype;
  return dtype_of<T>();
}

bool is_stored_as(const Weight& weight, DType dtype) {
  const auto sources = weight.sources();
  return std::all_of(sources.begin(), sources.end(), [&](const WeightSource& source) {
    return source.decoder == nullptr && source.dtype == dtype;
  });
}

/// to[k][outputs] = rows[o][k] of `count` rows, zeros behind them. Word has the elements' size.
template <class Word>
void transpose(const std::byte* const* rows, Index count, Index depth, Index outputs, std::byte* to) {
  constexpr Index chunk = 16;  // of lines that stay in the first-level cache
  constexpr auto size = static_cast<Index>(sizeof(Word));
  if (count < outputs) std::memset(to, 0, static_cast<std::size_t>(depth * outputs * size));
  for (Index begin = 0; begin < depth; begin += chunk) {
    const Index end = std::min(depth, begin + chunk);
    for (Index o = 0; o < count; ++o)
      for (Index k = begin; k < end; ++k)
        std::memcpy(to + (k * outputs + o) * size, rows[o] + k * size, sizeof(Word));
  }
}

}  // namespace

template <class T>
WinogradWeights<T>::WinogradWeights(const Context& context, const Weight& weight,
                                    const kernels::WinogradKernels& kernels)
    : kernels_(&kernels),
      out_(weight.rows()),
      row_size_(weight.row_size()),
      dtype_(kept_dtype<T>(weight)),
      is_stored_(is_stored_as(weight, dtype_)) {
  if (context.placement == WeightPlacement::mapped) {
    source_ = weight;
    return;
  }
  packed_ = allocate_bytes(static_cast<std::size_t>(groups() * group_bytes()));
  write_all(context, weight, packed_.get());
  weight.release();
}

template <class T>
Tensor<T> WinogradWeights<T>::rows(const Context& context) const {
  return is_stored_ ? Tensor<T>() : context.empty<T>({kernels_->outputs, row_size_});
}

template <class T>
void WinogradWeights<T>::write(const Weight& weight, Index group, Tensor<T>& rows, std::byte* to) const {
  const Index first = group * kernels_->outputs, count = std::min(kernels_->outputs, out_ - first);
  const auto row_bytes = row_size_ * static_cast<Index>(size_of(dtype_));
  std::array<const std::byte*, kernels::winograd_outputs> from{};
  if (is_stored_) {
    Index begin = 0;  // of a source's rows
    for (const auto& source : weight.sources()) {
      const Index end = begin + source.shape[0];
      for (Index row = std::max(first, begin); row < std::min(first + count, end); ++row)
        from[static_cast<std::size_t>(row - first)] = source.bytes.data() + (row - begin) * row_bytes;
      begin = end;
    }
  } else {
    weight.read(first, first + count, rows.data());
    const auto* const bytes = reinterpret_cast<const std::byte*>(std::as_const(rows).data());
    for (Index i = 0; i < count; ++i) from[static_cast<std::size_t>(i)] = bytes + i * row_bytes;
  }
  if (size_of(dtype_) == sizeof(std::uint32_t))
    transpose<std::uint32_t>(from.data(), count, row_size_, kernels_->outputs, to);
  else
    transpose<std::uint16_t>(from.data(), count, row_size_, kernels_->outputs, to);
}

template <class T>
void WinogradWeights<T>::write_all(const Context& context, const Weight& weight, std::byte* to) const {
  parallel_for(context.threads, groups(), 1, [&](Index begin, Index end) {
    auto some = rows(context);
    for (Index group = begin; group < end; ++group) write(weight, group, some, to + group * group_bytes());
  });
}

template <class T>
WinogradWeights<T>::All::All(const Context& context, const WinogradWeights& weights)
    : group_bytes_(weights.group_bytes()) {
  if (weights.is_mapped()) {
    made_ = context.pool.allocate(static_cast<std::size_t>(weights.groups() * group_bytes_));
    weights.write_all(context, *weights.source_, made_.get());
    data_ = made_.get();
  } else {
    data_ = weights.packed_.get();
  }
}

template <class T>
WinogradWeights<T>::Maker::Maker(const Context& context, const WinogradWeights& weights)
    : weights_(weights), rows_(weights.rows(context)) {
  made_ = context.pool.allocate(static_cast<std::size_t>(weights.group_bytes()));
}

template <class T>
const std::byte* WinogradWeights<T>::Maker::group(Index index) {
  weights_.write(*weights_.source_, index, rows_, made_.get());
  return made_.get();
}

template class WinogradWeights<float>;
template class WinogradWeights<bfloat16>;

}  // namespace daguerre::ops
