#include "ops/engines/native/winograd_kernels.hpp"

namespace daguerre::ops::kernels {

std::vector<const WinogradKernels*> available_winograd() {
  std::vector<const WinogradKernels*> result;
#ifdef DAGUERRE_X86_KERNELS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    result.push_back(&winograd_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) result.push_back(&winograd_avx2);
#endif
  result.push_back(&winograd_baseline);
  return result;
}

const WinogradKernels& active_winograd() noexcept {
  static const WinogradKernels& best = *available_winograd().front();
  return best;
}

}  // namespace daguerre::ops::kernels
