#include "daguerre/models/unet_2d_condition.hpp"
#include "models/unet_blocks.hpp"

namespace daguerre::models {
namespace {

constexpr const char* who = "unet";

/// Options that this class of models has but Stable Diffusion 1.x and 2.x do not use, at the only values
/// supported.
void expect_plain_model(const weights::Config& config) {
  config.expect("center_input_sample", {"false"});
  config.expect("mid_block_type", {"\"UNetMidBlock2DCrossAttn\""});
  config.expect("only_cross_attention", {"false"});
  config.expect("dual_cross_attention", {"false"});
  config.expect("mid_block_only_cross_attention", {"false"});
  config.expect("class_embeddings_concat", {"false"});
  config.expect("resnet_skip_time_act", {"false"});
  config.expect("time_embedding_type", {"\"positional\""});
  config.expect("attention_type", {"\"default\""});
  config.expect("conv_in_kernel", {"3"});
  config.expect("conv_out_kernel", {"3"});
  for (const auto* key :
       {"encoder_hid_dim", "encoder_hid_dim_type", "class_embed_type", "addition_embed_type",
        "addition_time_embed_dim", "num_class_embeds", "reverse_transformer_layers_per_block",
        "time_embedding_act_fn", "timestep_post_act", "time_cond_proj_dim", "cross_attention_norm",
        "projection_class_embeddings_input_dim"})
    config.expect(key, {"null"});
  // Neither changes the result: attention is computed in float32 wherever its upcast could matter.
  config.ignore({"upcast_attention", "dropout", "addition_embed_type_num_heads"});
}

}  // namespace

UNet2DConditionConfig UNet2DConditionConfig::from(const weights::Config& config) {
  if (config.class_name() != "UNet2DConditionModel")
    throw ConfigError(
        who, config.source() + ": class \"" + config.class_name() + "\" is not UNet2DConditionModel");
  expect_plain_model(config);

  UNet2DConditionConfig result;
  result.in_channels = config.get("in_channels", 4);
  result.out_channels = config.get("out_channels", 4);
  result.sample_size = config.get("sample_size", 64);
  result.act_fn = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  result.norm_num_groups = config.get("norm_num_groups", 32);
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-5));
  result.downsample_padding = config.get("downsample_padding", 1);
  result.mid_block_scale_factor = static_cast<float>(config.get("mid_block_scale_factor", 1.0));
  result.resnet_out_scale_factor = static_cast<float>(config.get("resnet_out_scale_factor", 1.0));
  result.use_linear_projection = config.get("use_linear_projection", false);
  config.expect("resnet_time_scale_shift", {"\"default\"", "\"scale_shift\""});
  result.resnet_scale_shift = std::string(config.get("resnet_time_scale_shift", "default")) == "scale_shift";
  result.timestep.flip_sin_to_cos = config.get("flip_sin_to_cos", true);
  result.timestep.freq_shift = static_cast<float>(config.get("freq_shift", 0.0));

  const auto down = attention_in_blocks(config, "down_block_types", "CrossAttnDownBlock2D", "DownBlock2D");
  const auto up = attention_in_blocks(config, "up_block_types", "CrossAttnUpBlock2D", "UpBlock2D");
  const auto channels = config.require_ints("block_out_channels");
  const std::size_t count = channels.size();
  if (count == 0 || down.size() != count || up.size() != count)
    throw ConfigError(who, config.source() + ": block_out_channels has " + std::to_string(count) +
                               " entries, down_block_types " + std::to_string(down.size()) +
                               ", up_block_types " + std::to_string(up.size()));
  const auto layers = config.int_or_list("layers_per_block", count, 2);
  const auto cross_attention_dims = config.int_or_list("cross_attention_dim", count, 1280);
  const auto transformer_layers = config.int_or_list("transformer_layers_per_block", count, 1);
  // diffusers' attention_head_dim is, by an old mistake kept for its files, the number of heads.
  const auto heads_by_old_name = config.int_or_list("attention_head_dim", count, 8);
  const auto heads = config.has("num_attention_heads") ? config.int_or_list("num_attention_heads", count, 8)
                                                       : heads_by_old_name;

  for (std::size_t i = 0; i < count; ++i) {
    const bool possible = channels[i] > 0 && layers[i] > 0 && heads[i] > 0 && channels[i] % heads[i] == 0 &&
                          transformer_layers[i] > 0 && cross_attention_dims[i] > 0;
    if (!possible)
      throw ConfigError(
          who, config.source() + ": level " + std::to_string(i) + " has " + std::to_string(channels[i]) +
                   " channels, " + std::to_string(layers[i]) + " layers, " + std::to_string(heads[i]) +
                   " attention heads; all must be positive and the heads must divide the channels");
    result.levels.push_back({channels[i], layers[i], down[i] ? heads[i] : 0, up[count - 1 - i] ? heads[i] : 0,
                             transformer_layers[i], cross_attention_dims[i]});
  }
  result.mid_attention_heads = heads.back();
  result.time_embedding_dim = config.optional_int("time_embedding_dim").value_or(Index{4} * channels.front());
  if (result.in_channels < 1 || result.out_channels < 1 || result.time_embedding_dim < 1 ||
      result.downsample_padding < 0 || result.downsample_padding > 1 || result.sample_size < 1)
    throw ConfigError(
        who,
        config.source() +
            ": channels, sample_size and time_embedding_dim must be positive, downsample_padding 0 or 1");
  config.finish();
  return result;
}

}  // namespace daguerre::models
