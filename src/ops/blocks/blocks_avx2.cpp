#define DAGUERRE_BLOCKS avx2
#include "ops/blocks/blocks_impl.hpp"
