#pragma once

#include <filesystem>

#include "daguerre/pipeline/model_source.hpp"

namespace daguerre {

/// `source`, a Stable Diffusion model, with the motion modules at `path`, so that it makes films
/// (AnimateDiff; Guo et al. 2023): a folder of diffusers' MotionAdapter, or one file in its layout or in that
/// of the original modules (mm_sd_v15 and the like). A `pytorch_lora_weights.safetensors` in the folder, by
/// which the U-Net was adapted to the films that the modules were trained on (AnimateDiff's domain adapter),
/// is merged into it.
///
/// Throws FileError, FormatError and WeightError for files that cannot be read, ConfigError for a model that
/// takes no motion modules and for modules of another base, naming both.
ModelSource with_motion(const ModelSource& source, const std::filesystem::path& path,
                        const SourceOptions& options = {});

/// The same for modules that are already a part of the source: its "motion_adapter" joined to its "unet",
/// which becomes a UNetMotionModel. What has no such part, or a U-Net that has motion modules, comes back as
/// it is.
ModelSource with_joined_motion(const ModelSource& source, bool allow_trailing_bytes = false);

}  // namespace daguerre
