#define DAGUERRE_DOTS dots_avx512
#define DAGUERRE_DOTS_NAME "avx512"
#define DAGUERRE_VECTOR_BYTES 64
#include "ops/engines/native/few_rows_kernels_impl.hpp"
