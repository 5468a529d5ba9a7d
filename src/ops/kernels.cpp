#include "ops/kernels.hpp"

namespace daguerre::ops::kernels {

const Kernels& active() noexcept {
#ifdef DAGUERRE_X86_KERNELS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2;
#endif
  return baseline;
}

}  // namespace daguerre::ops::kernels
