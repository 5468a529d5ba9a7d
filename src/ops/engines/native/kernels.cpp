#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops::kernels {
namespace {

#ifdef DAGUERRE_X86_KERNELS
bool has_avx512() noexcept {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
bool has_avx512_bf16() noexcept {
  return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
bool has_avx2() noexcept {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

}  // namespace

std::vector<const Kernels*> available() {
  std::vector<const Kernels*> result;
#ifdef DAGUERRE_X86_KERNELS
  if (has_avx512_bf16()) result.push_back(&avx512_bf16);
  if (has_avx512()) result.push_back(&avx512);
  if (has_avx2()) result.push_back(&avx2);
#endif
  result.push_back(&baseline);
  return result;
}

const Kernels& active() noexcept {
#ifdef DAGUERRE_X86_KERNELS
  static const Kernels& best = has_avx512_bf16() ? avx512_bf16
                               : has_avx512()    ? avx512
                               : has_avx2()      ? avx2
                                                 : baseline;
  return best;
#else
  return baseline;
#endif
}

}  // namespace daguerre::ops::kernels
