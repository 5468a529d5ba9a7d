#pragma once

namespace daguerre {

/// Who speaks in the messages of cascades.
inline constexpr const char* cascade_name = "cascade";

}  // namespace daguerre
