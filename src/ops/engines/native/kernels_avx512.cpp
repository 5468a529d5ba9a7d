#define DAGUERRE_KERNELS avx512
#define DAGUERRE_VECTOR_BYTES 64
#include "ops/engines/onednn/int8_kernels_impl.hpp"
