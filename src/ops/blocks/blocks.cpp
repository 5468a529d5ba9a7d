#include "ops/blocks/blocks.hpp"

#include <string>
#include <vector>

#include "daguerre/core/error.hpp"

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
  if (!is_block(dtype)) throw ArgumentError("dtype", std::string(name(dtype)) + " is no type of blocks");
  return available_decoders().front().of(dtype);
}

}  // namespace daguerre::ops::blocks
