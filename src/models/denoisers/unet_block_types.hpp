#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_shape.hpp"

/// What the configurations of U-Nets have in common.
namespace daguerre::models {

/// What the name of a block says.
struct UNetBlockType {
  UNetBlockShape::Kind kind = UNetBlockShape::Kind::residual;
  UNetBlockShape::Attention attention = UNetBlockShape::Attention::none;
  bool resnet_resize = false;

  bool reads_prompt() const noexcept {
    return attention != UNetBlockShape::Attention::none && attention != UNetBlockShape::Attention::pixels;
  }
  /// A block with these and nothing else set.
  UNetBlockShape block() const;
};

enum class UNetWay { down, up };
/// The types that `down_block_types` or `up_block_types` names. Throws ConfigError for one that is not known.
std::vector<UNetBlockType> read_block_types(const Config& config, UNetWay way);

/// [height, width] or one number for both; `fallback` when it is absent or null, since sizes can be asked
/// for. Throws ConfigError below 1.
void read_sample_size(const Config& config, Index& height, Index& width);

/// The shape's channels, norms, activations and kinds of residual layers; what the two classes of U-Nets read
/// alike. Blocks are left as their types make them.
UNet2DShape read_unet_shape(const Config& config, Index default_channels);

/// Throws ConfigError, naming the file.
[[noreturn]] void refuse_unet(const Config& config, const std::string& problem);

}  // namespace daguerre::models
