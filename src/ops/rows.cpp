#include "daguerre/ops/detail/rows.hpp"

#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops::detail {

template <>
const RowFunctions<float>& row_functions<float>() noexcept {
  return kernels::active().f32;
}

template <>
const RowFunctions<bfloat16>& row_functions<bfloat16>() noexcept {
  return kernels::active().bf16;
}

}  // namespace daguerre::ops::detail
