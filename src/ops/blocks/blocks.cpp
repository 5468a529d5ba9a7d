#include "ops/blocks/blocks.hpp"

#include <vector>

namespace daguerre::ops::blocks {

std::span<const Decoders> available_decoders() {
  static const std::vector<Decoders> all = [] {
    std::vector<Decoders> result;
#ifdef DAGUERRE_X86_KERNELS
    if (__builtin_cpu_supports("avx2")) result.push_back({"avx2", avx2::decoder_of});
#endif
    result.push_back({"baseline", baseline::decoder_of});
    return result;
  }();
  return all;
}

Decode decoder_of(DType dtype) {
  return available_decoders().front().of(dtype);
}

}  // namespace daguerre::ops::blocks
