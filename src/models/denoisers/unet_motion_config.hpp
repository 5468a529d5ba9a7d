#pragma once

#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_shape.hpp"

/// What the configurations of U-Nets with motion modules (diffusers' UNetMotionModel, SparseControlNetModel)
/// have beside those of pictures.
namespace daguerre::models {

/// The configuration without the keys of motion modules, and with the blocks of U-Nets of pictures. Throws
/// ConfigError for blocks of other kinds.
Config unet_of_pictures(const Config& config);

enum class MotionPlaces {
  everywhere,
  way_down,  ///< with one attention a transformer in the place of two: SparseCtrl
};
/// Puts the modules that `config` describes into the shape that was made of `unet_of_pictures`. Throws
/// ConfigError where they do not fit.
void add_motion_modules(const Config& config, MotionPlaces places, UNet2DShape& shape);

}  // namespace daguerre::models
