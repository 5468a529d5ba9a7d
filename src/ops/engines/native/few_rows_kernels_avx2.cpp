#define DAGUERRE_DOTS dots_avx2
#define DAGUERRE_DOTS_NAME "avx2"
#define DAGUERRE_VECTOR_BYTES 32
#include "ops/engines/native/few_rows_kernels_impl.hpp"
