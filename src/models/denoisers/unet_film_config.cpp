#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/denoisers/i2vgen_xl_unet.hpp"
#include "daguerre/models/denoisers/unet_3d_condition.hpp"
#include "daguerre/models/denoisers/unet_spatio_temporal.hpp"
#include "models/denoisers/unet_block_types.hpp"

namespace daguerre::models {
namespace {

using Attention = UNetBlockShape::Attention;
using Temporal = UNetBlockShape::Temporal;

void check_film_class(const Config& config, const std::string& name) {
  if (config.class_name() != name)
    refuse_unet(config, "class \"" + config.class_name() + "\" is not " + name);
}

/// Whether each block that `key` lists looks at the prompt. `suffix` ends the blocks' names, before which
/// stands `way`: "Down" or "Up".
std::vector<bool> film_blocks_that_attend(const Config& config, const char* key, const std::string& way,
                                          const std::string& suffix) {
  const auto without = way + suffix, with = "CrossAttn" + without;
  std::vector<bool> result;
  for (const auto& type : config.require_strings(key)) {
    if (type != with && type != without)
      refuse_unet(config, "block type \"" + type + "\" in " + key +
                              " is not supported; supported are: " + without + ", " + with);
    result.push_back(type == with);
  }
  return result;
}

/// What one of the configuration's keys says for each level.
struct FilmLevels {
  std::vector<int> channels, layers, heads, cross_attention_dims, transformer_layers;
  Temporal temporal = Temporal::none;
};

/// Throws ConfigError unless there is one for each level.
void check_film_levels(const Config& config, const FilmLevels& levels) {
  for (std::size_t i = 0; i < levels.channels.size(); ++i) {
    const bool possible = levels.channels[i] >= 1 && levels.layers[i] >= 1 && levels.layers[i] <= 1000 &&
                          levels.heads[i] >= 1 && levels.channels[i] % levels.heads[i] == 0 &&
                          levels.cross_attention_dims[i] >= 1 && levels.transformer_layers[i] >= 1 &&
                          levels.transformer_layers[i] <= 1000;
    if (!possible)
      refuse_unet(config, "level " + std::to_string(i) + " has " + std::to_string(levels.channels[i]) +
                              " channels, " + std::to_string(levels.layers[i]) + " layers, " +
                              std::to_string(levels.heads[i]) + " attention heads, cross_attention_dim " +
                              std::to_string(levels.cross_attention_dims[i]) + " and " +
                              std::to_string(levels.transformer_layers[i]) +
                              " transformers; all must be positive and the heads divide the channels");
  }
}

UNetBlockShape film_block(const FilmLevels& levels, std::size_t level, bool attends, int layers) {
  UNetBlockShape block;
  block.temporal = levels.temporal;
  block.layers = layers;
  block.heads = levels.heads[level];
  block.cross_attention_dim = levels.cross_attention_dims[level];
  block.transformer_layers.assign(static_cast<std::size_t>(layers), levels.transformer_layers[level]);
  if (attends) block.attention = Attention::transformer;
  return block;
}

/// Levels and middle of `shape`; the middle has a transformer in any case.
void add_film_levels(const Config& config, const FilmLevels& levels, const std::vector<bool>& down,
                     const std::vector<bool>& up, UNet2DShape& shape) {
  const std::size_t count = levels.channels.size();
  check_film_levels(config, levels);
  for (std::size_t i = 0; i < count; ++i)
    shape.levels.push_back({levels.channels[i], film_block(levels, i, down[i], levels.layers[i]),
                            film_block(levels, i, up[count - 1 - i], levels.layers[i] + 1)});
  shape.mid = film_block(levels, count - 1, true, 1);
  shape.use_linear_projection = true;
}

std::vector<int> film_channels(const Config& config, const std::vector<bool>& down,
                               const std::vector<bool>& up) {
  auto channels = config.require_ints("block_out_channels");
  const std::size_t count = channels.size();
  if (count == 0 || count > 16 || down.size() != count || up.size() != count)
    refuse_unet(config, "block_out_channels has " + std::to_string(count) + " entries, down_block_types " +
                            std::to_string(down.size()) + ", up_block_types " + std::to_string(up.size()));
  return channels;
}

void check_film_shape(const Config& config, const UNet2DShape& shape) {
  if (shape.in_channels < 1 || shape.out_channels < 1 || shape.resnet.groups < 1 ||
      shape.downsample_padding < 0 || shape.downsample_padding > 1 || !std::isfinite(shape.resnet.epsilon))
    refuse_unet(config, "channels must be positive, downsample_padding 0 or 1, norm_num_groups positive");
}

/// The shape of the U-Nets of blocks with 3D in their name, whose attention_head_dim is what it says.
UNet2DShape read_stacked_shape(const Config& config, Index& cross_attention_dim) {
  UNet2DShape shape;
  shape.in_channels = config.get("in_channels", 4);
  shape.out_channels = config.get("out_channels", 4);
  shape.resnet.groups = config.get("norm_num_groups", 32);
  shape.resnet.epsilon = 1e-5f;
  const auto down = film_blocks_that_attend(config, "down_block_types", "Down", "Block3D"),
             up = film_blocks_that_attend(config, "up_block_types", "Up", "Block3D");
  FilmLevels levels;
  levels.temporal = Temporal::stacked;
  levels.channels = film_channels(config, down, up);
  const std::size_t count = levels.channels.size();
  levels.layers.assign(count, config.get("layers_per_block", 2));
  levels.transformer_layers.assign(count, 1);
  cross_attention_dim = config.get("cross_attention_dim", 1024);
  levels.cross_attention_dims.assign(count, static_cast<int>(cross_attention_dim));
  const int head_dim = config.get("attention_head_dim", 64);
  for (const int channels : levels.channels) {
    if (head_dim < 1 || channels % head_dim != 0)
      refuse_unet(config, "attention_head_dim " + std::to_string(head_dim) + " must divide the channels, " +
                              std::to_string(channels));
    levels.heads.push_back(channels / head_dim);
  }
  shape.transformer_in_head_dim = head_dim;
  add_film_levels(config, levels, down, up, shape);
  return shape;
}

}  // namespace

UNetSpatioTemporalConfig UNetSpatioTemporalConfig::from(const Config& config) {
  check_film_class(config, "UNetSpatioTemporalConditionModel");
  UNetSpatioTemporalConfig result;
  auto& shape = result.shape;
  shape.in_channels = config.get("in_channels", 8);
  shape.out_channels = config.get("out_channels", 4);
  shape.resnet.epsilon = 1e-5f;  // as the groups, 32, it is fixed
  read_sample_size(config, result.sample_height, result.sample_width);
  result.num_frames = config.get("num_frames", 25);
  const auto down = film_blocks_that_attend(config, "down_block_types", "Down", "BlockSpatioTemporal"),
             up = film_blocks_that_attend(config, "up_block_types", "Up", "BlockSpatioTemporal");
  FilmLevels levels;
  levels.temporal = Temporal::mixed;
  levels.channels = film_channels(config, down, up);
  const std::size_t count = levels.channels.size();
  levels.layers = config.int_or_list("layers_per_block", count, 2);
  // The default is a list of four.
  levels.heads = config.has("num_attention_heads") || count != 4
                     ? config.int_or_list("num_attention_heads", count, 5)
                     : std::vector<int>{5, 10, 20, 20};
  levels.cross_attention_dims = config.int_or_list("cross_attention_dim", count, 1024);
  levels.transformer_layers = config.int_or_list("transformer_layers_per_block", count, 1);
  const auto& dims = levels.cross_attention_dims;
  result.cross_attention_dim = dims.front();
  if (std::any_of(dims.begin(), dims.end(), [&](int dim) { return dim != dims.front(); }))
    refuse_unet(config,
                "cross_attention_dim must be one number for all levels, as the picture's embedding is");
  add_film_levels(config, levels, down, up, shape);
  // The blocks' constructors have epsilons of their own.
  for (auto& level : shape.levels) {
    level.up.epsilon = 1e-6f;
    if (level.down.attention == Attention::transformer) level.down.epsilon = 1e-6f;
  }
  result.time_embedding_dim = 4 * shape.levels.front().channels;
  shape.resnet.temb_channels = result.time_embedding_dim;
  result.addition_time_embed_dim = config.get("addition_time_embed_dim", 256);
  result.added_width = config.get("projection_class_embeddings_input_dim", 768);
  if (result.num_frames < 1 || result.addition_time_embed_dim < 1 || result.added_width < 1 ||
      result.added_width % result.addition_time_embed_dim != 0)
    refuse_unet(config,
                "num_frames and addition_time_embed_dim must be positive, and the latter divide "
                "projection_class_embeddings_input_dim");
  check_film_shape(config, shape);
  config.ignore({"dropout"});
  config.finish();
  return result;
}

UNet3DConditionConfig UNet3DConditionConfig::from(const Config& config) {
  check_film_class(config, "UNet3DConditionModel");
  UNet3DConditionConfig result;
  auto& shape = result.shape;
  shape = read_stacked_shape(config, result.cross_attention_dim);
  read_sample_size(config, result.sample_height, result.sample_width);
  config.expect("num_attention_heads", {"null"});
  shape.downsample_padding = config.get("downsample_padding", 1);
  shape.resnet.epsilon = static_cast<float>(config.get("norm_eps", 1e-5));
  shape.resnet.non_linearity = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  shape.out_groups = shape.resnet.groups;
  shape.mid->output_scale_factor = static_cast<float>(config.get("mid_block_scale_factor", 1.0));
  if (!(std::isfinite(shape.mid->output_scale_factor) && shape.mid->output_scale_factor != 0.0f))
    refuse_unet(config, "mid_block_scale_factor must be a number other than 0");
  result.time_embedding_dim = 4 * shape.levels.front().channels;
  shape.resnet.temb_channels = result.time_embedding_dim;
  const int condition = config.optional_int("time_cond_proj_dim").value_or(0);
  if (condition < 0) refuse_unet(config, "time_cond_proj_dim must be positive or null");
  result.time_perceptron = {.activation = shape.resnet.non_linearity, .condition_channels = condition};
  check_film_shape(config, shape);
  config.finish();
  return result;
}

I2VGenXLUNetConfig I2VGenXLUNetConfig::from(const Config& config) {
  check_film_class(config, "I2VGenXLUNet");
  I2VGenXLUNetConfig result;
  auto& shape = result.shape;
  shape = read_stacked_shape(config, result.cross_attention_dim);
  read_sample_size(config, result.sample_height, result.sample_width);
  config.ignore({"num_attention_heads"});  // attention_head_dim takes its place
  result.in_channels = shape.in_channels;
  shape.in_channels = checked_multiply(2, std::max<Index>(shape.in_channels, 0));
  shape.out_groups = shape.resnet.groups;
  result.time_embedding_dim = 4 * shape.levels.front().channels;
  shape.resnet.temb_channels = result.time_embedding_dim;
  check_film_shape(config, shape);
  config.finish();
  return result;
}

}  // namespace daguerre::models
