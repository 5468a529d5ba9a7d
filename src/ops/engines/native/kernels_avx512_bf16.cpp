#define DAGUERRE_KERNELS avx512_bf16
#define DAGUERRE_VECTOR_BYTES 64
#include "ops/engines/onednn/int8_kernels_impl.hpp"
