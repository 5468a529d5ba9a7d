#include "ops/engines/native/few_rows_kernels.hpp"

namespace daguerre::ops::kernels {
namespace {

#ifdef DAGUERRE_X86_KERNELS
bool dots_have_avx512() noexcept {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#endif

}  // namespace

std::vector<const DotKernels*> available_dots() {
  std::vector<const DotKernels*> result;
#ifdef DAGUERRE_X86_KERNELS
  if (dots_have_avx512() && __builtin_cpu_supports("avx512bf16")) result.push_back(&dots_avx512_bf16);
  if (dots_have_avx512()) result.push_back(&dots_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) result.push_back(&dots_avx2);
#endif
  result.push_back(&dots_baseline);
  return result;
}

const DotKernels& active_dots() noexcept {
  static const DotKernels& best = *available_dots().front();
  return best;
}

}  // namespace daguerre::ops::kernels
