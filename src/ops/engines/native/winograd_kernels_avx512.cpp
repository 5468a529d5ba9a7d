#define DAGUERRE_WINOGRAD winograd_avx512
#define DAGUERRE_WINOGRAD_NAME "avx512"
#define DAGUERRE_VECTOR_BYTES 64
#include "ops/engines/native/winograd_kernels_impl.hpp"
