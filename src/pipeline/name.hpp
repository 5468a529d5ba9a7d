#pragma once

namespace daguerre {

/// Who speaks in the messages of pipelines.
inline constexpr const char* pipeline_name = "pipeline";
/// In those of LoRAs.
inline constexpr const char* lora_name = "lora";

}  // namespace daguerre
