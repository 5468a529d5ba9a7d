#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/rotary.hpp"

namespace daguerre::models {

/// What config.json of a Qwen2.5-VL says of pictures.
struct Qwen25VisionConfig {
  Index hidden_size = 3584;
  Index intermediate_size = 3420;
  Index out_hidden_size = 3584;  ///< the language model's
  int depth = 32;
  int num_heads = 16;
  Index in_channels = 3;
  Index patch_size = 14;                                  ///< pixels along a side
  Index temporal_patch_size = 2;                          ///< frames of a patch; a picture stands for as many
  Index spatial_merge_size = 2;                           ///< patches along a side of what becomes one token
  Index window_size = 112;                                ///< pixels along a side in which most blocks attend
  std::vector<int> fullatt_block_indexes{7, 15, 23, 31};  ///< blocks that attend to whole pictures
  ops::Activation activation = ops::Activation::silu;
  std::int32_t image_token_id = 151655;  ///< stands in a text where a picture's token goes

  /// From the configuration of a Qwen2_5_VLForConditionalGeneration. Throws ConfigError for one without
  /// `vision_config`, for options it does not know and for values that are not possible.
  static Qwen25VisionConfig from(const Config& config);

  /// Numbers of a patch: channels, frames, rows, columns.
  Index patch_elements() const noexcept {
    return in_channels * temporal_patch_size * patch_size * patch_size;
  }
  /// Patches that become one token.
  Index merged() const noexcept { return spatial_merge_size * spatial_merge_size; }
};

/// How many patches a picture has; rows and columns are multiples of `spatial_merge_size`.
struct PatchGrid {
  Index frames = 1, rows = 0, columns = 0;

  Index patches() const { return checked_multiply(checked_multiply(frames, rows), columns); }
};

/// The vision tower of Qwen2.5-VL (Bai et al. 2025): a transformer over the patches of pictures of any size,
/// most of whose blocks attend inside of windows, and a network that makes one token of four neighbouring
/// patches. transformers' Qwen2_5_VisionTransformerPretrainedModel, with its weights' names behind `visual`.
template <class T>
class Qwen25Vision {
 public:
  Qwen25Vision(const Qwen25VisionConfig& config, const nn::Loader& loader);

  /// `pixel_values[patches, patch_elements]`, picture after picture, in each the patches of a token one
  /// behind the other, as the processor writes them: to `[patches / merged, out_hidden_size]`, in the
  /// order of rows and columns. Throws ArgumentError for grids that are not possible, or not of so many
  /// patches.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& pixel_values,
                           std::span<const PatchGrid> grids) const;

  const Qwen25VisionConfig& config() const noexcept { return config_; }

 private:
  /// x += proj(attention(norm1(x))); x += down(act(gate) * up(norm2(x)))
  struct Block {
    nn::RmsNorm norm1, norm2;
    nn::Linear<T> qkv, proj, up, down;  ///< `up` has the values, then the gates
    bool attends_to_all;
  };
  Block read(const nn::Loader& loader, int index) const;
  Tensor<float> run(const ops::Context& context, const Block& block, const Tensor<float>& x,
                    const ops::RotaryTable& rotation, std::span<const Index> spans) const;

  Qwen25VisionConfig config_;
  std::shared_ptr<const ops::Engine> engine_;
  nn::Linear<T> patch_embed_;
  std::vector<Block> blocks_;
  nn::RmsNorm merger_norm_;
  nn::Linear<T> merger_in_, merger_out_;
};

/// Positions `[3, 1, L]` (time, row, column) of the tokens `ids` of one text in which pictures stand: words
/// go on by one on all axes, a picture's tokens lie at its rows and columns, counted from where it begins,
/// and what follows goes on behind the largest (transformers' get_rope_index). Throws ArgumentError where a
/// picture has another number of tokens than its grid says, or pictures and grids are not as many.
Tensor<std::int32_t> picture_positions(const Qwen25VisionConfig& config, std::span<const std::int32_t> ids,
                                       std::span<const PatchGrid> grids);

/// `embeds[N, L, C]` of the tokens `ids[N, L]`, with `pictures[tokens, C]` in the places of the picture's
/// tokens. Throws ArgumentError where there are not as many.
Tensor<float> with_pictures(const ops::Context& context, Tensor<float> embeds,
                            const Tensor<std::int32_t>& ids, std::int32_t image_token_id,
                            const Tensor<float>& pictures);

}  // namespace daguerre::models
