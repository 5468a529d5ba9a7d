#pragma once

#include "daguerre/weights/checkpoint.hpp"

namespace daguerre::weights {

/// A folder in diffusers' layout, of a whole model or of one part (with config.json). Throws as
/// open_checkpoint.
Checkpoint open_checkpoint_folder(const std::filesystem::path& path, const CheckpointOptions& options);

}  // namespace daguerre::weights
