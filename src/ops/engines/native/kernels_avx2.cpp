#define DAGUERRE_KERNELS avx2
#define DAGUERRE_VECTOR_BYTES 32
#include "ops/engines/onednn/int8_kernels_impl.hpp"
