#pragma once

namespace daguerre {

/// Who speaks in the messages of pipelines.
inline constexpr const char* pipeline_name = "pipeline";

}  // namespace daguerre
