#include <algorithm>

#include "daguerre/models/denoisers/unet_2d.hpp"
#include "models/denoisers/unet_block_types.hpp"

namespace daguerre::models {
namespace {

using Attention = UNetBlockShape::Attention;

/// What down- and upsample_type say of blocks with attention; for others they say nothing.
bool resizes_by_resnet(const Config& config, const char* key) {
  config.expect(key, {"\"conv\"", "\"resnet\"", "null"});
  return config.optional_string(key).value_or("conv") == "resnet";
}

TimeProjectionOptions read_time(const Config& config, Index channels) {
  TimeProjectionOptions time{.width = channels};
  time.sinusoid.flip_sin_to_cos = config.get("flip_sin_to_cos", true);
  time.sinusoid.freq_shift = static_cast<float>(config.get("freq_shift", 0.0));
  config.expect("time_embedding_type", {"\"positional\"", "\"fourier\"", "\"learned\""});
  const auto type = config.get("time_embedding_type", "positional");
  const int timesteps = config.optional_int("num_train_timesteps").value_or(0);
  if (type == "fourier")
    return {.kind = TimeProjectionOptions::Kind::fourier,
            .width = 2 * channels,
            .sinusoid = {.flip_sin_to_cos = false},
            .of_logarithm = true};
  if (type == "learned") {
    if (timesteps < 1) refuse_unet(config, "time_embedding_type \"learned\" needs num_train_timesteps");
    time.kind = TimeProjectionOptions::Kind::learned;
    time.rows = timesteps;
  }
  return time;
}

ClassEmbeddingOptions read_classes(const Config& config, Index time_width, Index width) {
  using Kind = ClassEmbeddingOptions::Kind;
  config.expect("class_embed_type", {"null", "\"timestep\"", "\"identity\""});
  const auto type = config.optional_string("class_embed_type").value_or("");
  const auto classes = config.optional_int("num_class_embeds");
  if (type == "timestep") return {.kind = Kind::timestep, .input_width = time_width, .width = width};
  if (type == "identity") return {.kind = Kind::identity, .width = width};
  if (!classes) return {};
  if (*classes < 1)
    refuse_unet(config, "num_class_embeds must be positive, or null where there are no classes");
  return {.kind = Kind::table, .rows = *classes, .width = width};
}

}  // namespace

UNet2DConfig UNet2DConfig::from(const Config& config) {
  if (config.class_name() != "UNet2DModel")
    refuse_unet(config, "class \"" + config.class_name() + "\" is not UNet2DModel");
  config.expect("mid_block_type", {"\"UNetMidBlock2D\"", "null"});

  UNet2DConfig result;
  auto& shape = result.shape;
  shape = read_unet_shape(config, 3);
  read_sample_size(config, result.sample_height, result.sample_width);
  const Index channels = shape.levels.front().channels;
  result.time = read_time(config, channels);
  result.time_embedding_dim = config.optional_int("time_embedding_dim").value_or(0);
  if (result.time_embedding_dim == 0) result.time_embedding_dim = 4 * channels;
  if (result.time_embedding_dim < 0) refuse_unet(config, "time_embedding_dim must be positive");
  shape.resnet.temb_channels = result.time_embedding_dim;
  result.classes = read_classes(config, result.time.width, result.time_embedding_dim);

  // Here it is what it says; null means one head. An absent key means 8.
  const Index head_dim =
      config.is_null("attention_head_dim") ? 0 : Index{config.get("attention_head_dim", 8)};
  const auto set_heads = [&](UNetBlockShape& block, Index width) {
    if (block.attention == Attention::none) return;
    if (block.attention != Attention::pixels) refuse_unet(config, "a block looks at a prompt; there is none");
    block.head_dim = head_dim == 0 ? width : head_dim;
    if (block.head_dim < 1 || block.head_dim > width)
      refuse_unet(config, "attention_head_dim " + std::to_string(head_dim) + " for attention over " +
                              std::to_string(width) + " channels");
    block.heads = static_cast<int>(width / block.head_dim);
  };
  const bool down_resnet = resizes_by_resnet(config, "downsample_type"),
             up_resnet = resizes_by_resnet(config, "upsample_type");
  for (auto& level : shape.levels) {
    for (auto* block : {&level.down, &level.up}) {
      set_heads(*block, level.channels);
      const bool is_residual = block->kind == UNetBlockShape::Kind::residual;
      if (is_residual && block->attention == Attention::pixels)
        block->resnet_resize = block == &level.down ? down_resnet : up_resnet;
    }
  }

  const int attention_groups = config.optional_int("attn_norm_num_groups").value_or(-1);
  const auto mid_scale = static_cast<float>(config.get("mid_block_scale_factor", 1.0));
  const bool add_attention = config.get("add_attention", true);
  if (attention_groups == 0 || attention_groups < -1 || !(mid_scale > 0.0f || mid_scale < 0.0f))
    refuse_unet(config,
                "attn_norm_num_groups must be positive, mid_block_scale_factor a number other than 0");
  if (!config.is_null("mid_block_type")) {
    const Index width = shape.levels.back().channels;
    UNetBlockShape mid{.attention = add_attention ? Attention::pixels : Attention::none,
                       .layers = 1,
                       .output_scale_factor = mid_scale};
    set_heads(mid, width);
    const int groups =
        shape.resnet.groups > 0 ? shape.resnet.groups : std::min<int>(static_cast<int>(width / 4), 32);
    mid.attention_groups = attention_groups > 0 ? attention_groups : shape.resnet.scale_shift ? 0 : groups;
    shape.mid = mid;
  }
  shape.out_groups =
      shape.resnet.groups > 0 ? shape.resnet.groups : std::min<int>(static_cast<int>(channels / 4), 32);
  config.finish();
  return result;
}

}  // namespace daguerre::models
