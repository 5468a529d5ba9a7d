#include "daguerre/models/unet_2d.hpp"
#include "models/unet_blocks.hpp"

namespace daguerre::models {

UNet2DConfig UNet2DConfig::from(const weights::Config& config) {
  constexpr const char* who = "unet";
  if (config.class_name() != "UNet2DModel")
    throw ConfigError(who, config.source() + ": class \"" + config.class_name() + "\" is not UNet2DModel");
  config.expect("center_input_sample", {"false"});
  config.expect("time_embedding_type", {"\"positional\""});
  config.expect("mid_block_type", {"\"UNetMidBlock2D\""});
  config.expect("downsample_type", {"\"conv\""});
  config.expect("upsample_type", {"\"conv\""});
  config.expect("class_embed_type", {"null"});
  config.ignore({"dropout", "num_train_timesteps"});  // the latter sizes a learned time embedding

  UNet2DConfig result;
  auto& shape = result.shape;
  shape.in_channels = config.get("in_channels", 3);
  shape.out_channels = config.get("out_channels", 3);
  shape.mid_block_scale_factor = static_cast<float>(config.get("mid_block_scale_factor", 1.0));
  shape.downsample_padding = config.get("downsample_padding", 1);
  shape.timestep.flip_sin_to_cos = config.get("flip_sin_to_cos", true);
  shape.timestep.freq_shift = static_cast<float>(config.get("freq_shift", 0.0));
  shape.resnet.groups = config.get("norm_num_groups", 32);
  shape.resnet.epsilon = static_cast<float>(config.get("norm_eps", 1e-5));
  shape.resnet.non_linearity = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  config.expect("resnet_time_scale_shift", {"\"default\"", "\"scale_shift\""});
  shape.resnet.scale_shift = std::string(config.get("resnet_time_scale_shift", "default")) == "scale_shift";
  result.sample_size = config.get("sample_size", 32);
  result.mid_attention = config.get("add_attention", true);
  result.mid_attention_groups = config.optional_int("attn_norm_num_groups")
                                    .value_or(shape.resnet.scale_shift ? 0 : shape.resnet.groups);
  result.num_class_embeds = config.optional_int("num_class_embeds").value_or(0);

  const auto channels = config.require_ints("block_out_channels");
  const auto down = attention_in_blocks(config, "down_block_types", "AttnDownBlock2D", "DownBlock2D");
  const auto up = attention_in_blocks(config, "up_block_types", "AttnUpBlock2D", "UpBlock2D");
  const std::size_t count = channels.size();
  if (count == 0 || count > 16 || down.size() != count || up.size() != count)
    throw ConfigError(who, config.source() + ": block_out_channels has " + std::to_string(count) +
                               " entries, down_block_types " + std::to_string(down.size()) +
                               ", up_block_types " + std::to_string(up.size()));
  const int layers = config.get("layers_per_block", 2);
  // Here it is what it says; null means one head. An absent key means 8.
  const bool one_head = config.is_null("attention_head_dim");
  const int head_dim = one_head ? 8 : config.get("attention_head_dim", 8);
  for (std::size_t i = 0; i < count; ++i) {
    const bool attends = down[i] || up[count - 1 - i] || (result.mid_attention && i + 1 == count);
    const bool possible = channels[i] > 0 && layers > 0 && head_dim > 0 &&
                          (one_head || !attends || (channels[i] >= head_dim && channels[i] % head_dim == 0));
    if (!possible)
      throw ConfigError(who, config.source() + ": level " + std::to_string(i) + " has " +
                                 std::to_string(channels[i]) + " channels, " + std::to_string(layers) +
                                 " layers, attention_head_dim " + std::to_string(head_dim) +
                                 "; all must be positive and the last divide the channels");
    shape.levels.push_back({channels[i], layers});
    result.attention.push_back({down[i], up[count - 1 - i], one_head ? 1 : channels[i] / head_dim});
  }
  shape.resnet.temb_channels = 4 * Index{channels.front()};
  if (shape.in_channels < 1 || shape.out_channels < 1 || shape.downsample_padding < 0 ||
      shape.downsample_padding > 1 || result.sample_size < 1 || result.num_class_embeds < 0 ||
      shape.mid_block_scale_factor == 0.0f)
    throw ConfigError(who, config.source() +
                               ": channels and sample_size must be positive, downsample_padding 0 or 1, "
                               "mid_block_scale_factor not 0");
  config.finish();
  return result;
}

}  // namespace daguerre::models
