#define DAGUERRE_WINOGRAD winograd_baseline
#define DAGUERRE_WINOGRAD_NAME "baseline"
#define DAGUERRE_VECTOR_BYTES 16
#include "ops/engines/native/winograd_kernels_impl.hpp"
