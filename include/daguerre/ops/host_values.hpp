#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "daguerre/core/tensor.hpp"

/// How networks read what the host gave them. What an engine computed is not read so: it may not be in the
/// host's memory.
namespace daguerre::ops {

/// Values that steer a computation: token ids, labels, timesteps, sizes. Borrowed.
template <class T>
std::span<const T> host_values(const Tensor<T>& tensor) noexcept {
  return tensor.span();
}

/// `values` as float32, `[values.size()]`.
inline Tensor<float> host_floats(std::span<const std::int32_t> values) {
  Tensor<float> result({static_cast<Index>(values.size())});
  std::transform(values.begin(), values.end(), result.data(),
                 [](std::int32_t value) { return static_cast<float>(value); });
  return result;
}

/// Whether two weights are the same numbers.
inline bool same_values(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

}  // namespace daguerre::ops
