#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daguerre/nn/added_kv_attention.hpp"
#include "daguerre/nn/resnet.hpp"

namespace daguerre::models {

/// One block of a U-Net: residual layers, each with an attention behind it or none, and a change of size.
struct UNetBlockShape {
  enum class Kind {
    residual,  ///< diffusers' [Attn|CrossAttn|SimpleCrossAttn|Resnet]{Down,Up}[sample]Block2D
    skip,      ///< [Attn]Skip{Down,Up}Block2D: the picture itself is led along (NCSN++, Song et al. 2021)
    k,         ///< K[CrossAttn]{Down,Up}Block2D, of the latent upscaler by Crowson
  };
  enum class Attention {
    none,
    pixels,       ///< between pixels
    transformer,  ///< transformers that look at the prompt
    added_kv,     ///< pixels and prompt in one softmax
  };
  /// What stands beside the layers of residual blocks where the sample's pictures are frames of films.
  enum class Temporal {
    none,
    stacked,  ///< convolutions and transformers along the frames behind the others
              ///< ([CrossAttn]{Down,Up}Block3D)
    mixed,    ///< both mixed with what was found frame by frame ([CrossAttn]{Down,Up}BlockSpatioTemporal)
    modules,  ///< transformers along the frames behind every layer ([CrossAttn]{Down,Up}BlockMotion)
  };
  Kind kind = Kind::residual;
  Attention attention = Attention::none;
  Temporal temporal = Temporal::none;
  int layers = 2;                     ///< residual layers
  bool resnet_resize = false;         ///< a residual layer changes the size, else a convolution
  std::optional<float> epsilon = {};  ///< of the residual layers' norms, where it is not the shape's
  float output_scale_factor = 1.0f;
  bool skip_time_act = false;
  int heads = 1;
  Index head_dim = 0;         ///< 0: channels / heads, rounded down
  int attention_groups = 32;  ///< of the norm before attention between pixels; 0: there is none
  Index cross_attention_dim = 0;
  bool only_cross_attention = false;
  nn::CrossNorm cross_norm = nn::CrossNorm::none;
  std::vector<int> transformer_layers = {};  ///< of each layer's transformer
  struct Motion {
    int heads = 8;
    bool attends_twice = true;     ///< each transformer has two attentions
    Index positions = 32;          ///< the most frames that can attend to each other
    std::vector<int> layers = {};  ///< of each layer's transformer
  };
  Motion motion = {};  ///< of transformers along the frames that are modules

  /// How many attentions to the prompt its first `count` layers have that image prompts can join.
  std::size_t cross_attentions(int count) const;
};

/// An attention to the prompt that image prompts can join.
struct UNetCrossAttention {
  std::string name;  ///< "down_blocks.0.attentions.1.transformer_blocks.0"
  Index width = 0;   ///< of its keys
};

/// The shape of a U-Net. Levels run from the outermost (largest feature maps) inwards.
struct UNet2DShape {
  Index in_channels = 0;
  Index out_channels = 0;
  struct Level {
    Index channels = 0;
    UNetBlockShape down, up;
  };
  std::vector<Level> levels;
  std::optional<UNetBlockShape> mid;  ///< its layers: the attentions, each between two residual ones
  nn::ResnetOptions resnet;  ///< of all blocks; groups 0: min(channels / 4, 32) where that is possible
  int out_groups = 32;       ///< of the norm before the last convolution; 0: there is none
  ops::Activation out_activation = ops::Activation::silu;
  int downsample_padding = 1;
  bool use_linear_projection = false;  ///< how files hold the transformers' projections
  int conv_in_kernel = 3;
  int conv_out_kernel = 3;
  bool center_input_sample = false;  ///< pictures in [0, 1] become [-1, 1]
  /// Width of the 8 heads of a transformer along the frames behind the first convolution; 0: there is none.
  Index transformer_in_head_dim = 0;

  /// Channels of each skip connection of residual blocks, from the outermost on: the first convolution leaves
  /// one, each layer, and what halves the size.
  std::vector<Index> skip_channels() const {
    std::vector<Index> result{levels.front().channels};
    for (std::size_t i = 0; i < levels.size(); ++i)
      result.insert(result.end(),
                    static_cast<std::size_t>(levels[i].down.layers + (i + 1 < levels.size() ? 1 : 0)),
                    levels[i].channels);
    return result;
  }
  /// Those of the blocks down, up and in the middle, in this order, which is that of IP-Adapter's files.
  /// Empty where some blocks read the prompt in another way.
  std::vector<UNetCrossAttention> cross_attentions() const;
  /// How many of them the blocks down have.
  std::size_t cross_attentions_down() const {
    std::size_t count = 0;
    for (const auto& level : levels) count += level.down.cross_attentions(level.down.layers);
    return count;
  }
  /// Whether FreeU reaches a block: the first two on the way up, where they are of diffusers'
  /// [CrossAttn]UpBlock2D.
  bool takes_free_u(std::size_t level) const;
};

}  // namespace daguerre::models
