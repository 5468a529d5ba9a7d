#define DAGUERRE_DOTS dots_baseline
#define DAGUERRE_DOTS_NAME "baseline"
#define DAGUERRE_VECTOR_BYTES 16
#include "ops/engines/native/few_rows_kernels_impl.hpp"
