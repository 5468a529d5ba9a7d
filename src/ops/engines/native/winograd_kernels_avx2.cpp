#define DAGUERRE_WINOGRAD winograd_avx2
#define DAGUERRE_WINOGRAD_NAME "avx2"
#define DAGUERRE_VECTOR_BYTES 32
#include "ops/engines/native/winograd_kernels_impl.hpp"
