#define DAGUERRE_KERNELS baseline
#define DAGUERRE_VECTOR_BYTES 16
#include "ops/engines/onednn/int8_kernels_impl.hpp"
