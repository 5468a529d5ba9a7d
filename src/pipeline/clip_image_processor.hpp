#pragma once

#include <string>

#include "daguerre/config/config.hpp"
#include "daguerre/media/clip_image_processor.hpp"

namespace daguerre {

/// A preprocessor_config.json of transformers' CLIPImageProcessor, whose sizes older files write as one
/// number. Throws ConfigError for what is not supported.
ClipImageProcessor read_clip_image_processor(const Config& config);

/// Throws ConfigError where what is prepared is not as large as the network, of `config_path`, takes it.
void check_prepared_size(const ClipImageProcessor& processor, Index image_size,
                         const std::string& config_path);

}  // namespace daguerre
