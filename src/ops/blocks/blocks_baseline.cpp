#define DAGUERRE_BLOCKS baseline
#include "ops/blocks/blocks_impl.hpp"
