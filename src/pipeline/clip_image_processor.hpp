#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/media/clip_image_processor.hpp"

namespace daguerre {

/// A preprocessor_config.json of transformers' CLIPImageProcessor, whose sizes older files write as one
/// number. Throws ConfigError for what is not supported.
ClipImageProcessor read_clip_image_processor(const Config& config);

}  // namespace daguerre
