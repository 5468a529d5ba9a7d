#pragma once

#include <cstddef>

namespace daguerre::ops {

/// Throws std::bad_alloc when the system would refuse to map `bytes` more now; takes nothing. For libraries
/// that do not survive being refused.
void require_headroom(std::size_t bytes);

}  // namespace daguerre::ops
