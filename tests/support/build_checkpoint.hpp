#pragma once

#include "daguerre/weights/checkpoint.hpp"

namespace daguerre::test {

/// Builds every network of its configuration, each of which must find all its weights and leave none.
void build_all(const weights::Checkpoint& checkpoint);

}  // namespace daguerre::test
