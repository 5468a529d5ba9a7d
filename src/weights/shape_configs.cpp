#include "weights/shape_configs.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "weights/extents.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string list_item(const std::string& list, int number, const std::string& rest) {
  return key_maps::joined_name(list + ".", number, rest);
}

/// One level of a U-Net's way down.
struct Level {
  Index channels = 0;
  int transformers = 0;  ///< blocks in each of its attentions; 0: it has none
};

/// How many blocks a list has. Each halves the picture, so that a larger number is none of a network.
int count_levels(const StateDict& weights, std::string_view list) {
  constexpr int most = 16;
  const int count = key_maps::count_numbered(weights, list);
  if (count > most)
    throw WeightError(weights_name, weights.source() + ": " + std::string(list) + std::to_string(count - 1) +
                                        " is there, expected at most " + std::to_string(most) + " levels");
  return count;
}

std::vector<Level> unet_levels(const StateDict& weights) {
  std::vector<Level> levels(static_cast<std::size_t>(count_levels(weights, "down_blocks.")));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto block = list_item("down_blocks", static_cast<int>(i), "");
    levels[i].channels = extent(weights, block + "resnets.0.conv1.weight", 0);
    levels[i].transformers = key_maps::count_numbered(weights, block + "attentions.0.transformer_blocks.");
  }
  return levels;
}

/// One number where all are the same.
template <class T>
OrderedJson one_or_all(const std::vector<T>& values) {
  const bool same =
      std::all_of(values.begin(), values.end(), [&](T value) { return value == values.front(); });
  return same && !values.empty() ? OrderedJson(values.front()) : OrderedJson(values);
}

}  // namespace

Extent context_width(const StateDict& unet) {
  for (const auto& name : unet.names())
    if (name.ends_with(".attn2.to_k.weight")) return {name, extent(unet, name, 1)};
  return {};
}

Config unet_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source) {
  const auto levels = unet_levels(weights);
  const int middle = key_maps::count_numbered(weights, "mid_block.attentions.0.transformer_blocks.");
  std::vector<Index> widths, heads;
  std::vector<int> transformers;
  std::vector<std::string> down, up;
  for (const auto& level : levels) {
    widths.push_back(level.channels);
    heads.push_back(facts.heads != 0 ? facts.heads : std::max<Index>(level.channels / 64, 1));
    down.emplace_back(level.transformers > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D");
    // What the last level says holds for the middle as well, whether or not the level attends.
    const bool last = &level == &levels.back();
    transformers.push_back(level.transformers > 0 ? level.transformers : last ? std::max(middle, 1) : 1);
  }
  const int ups = count_levels(weights, "up_blocks.");
  for (int i = 0; i < ups; ++i)
    up.emplace_back(weights.contains_below(list_item("up_blocks", i, "attentions.")) ? "CrossAttnUpBlock2D"
                                                                                     : "UpBlock2D");
  OrderedJson json{{"_class_name", "UNet2DConditionModel"},
                   {"_diffusers_version", "0.31.0"},
                   {"sample_size", facts.picture_size / 8},
                   {"in_channels", extent(weights, "conv_in.weight", 1)},
                   {"center_input_sample", false},
                   {"flip_sin_to_cos", true},
                   {"freq_shift", 0},
                   {"down_block_types", down},
                   {"mid_block_type", middle > 0 ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D"},
                   {"up_block_types", up},
                   {"block_out_channels", widths},
                   {"layers_per_block", key_maps::count_numbered(weights, "down_blocks.0.resnets.")},
                   {"downsample_padding", 1},
                   {"mid_block_scale_factor", 1},
                   {"act_fn", "silu"},
                   {"norm_num_groups", 32},
                   {"norm_eps", 1e-5},
                   {"cross_attention_dim", context_width(weights).value},
                   {"transformer_layers_per_block", one_or_all(transformers)},
                   {"attention_head_dim", one_or_all(heads)}};
  if (!weights.contains_below("mid_block.")) json["mid_block_type"] = nullptr;
  // Without a way up it is a ControlNet's.
  if (ups > 0) json["out_channels"] = extent(weights, "conv_out.weight", 0);
  for (const std::string_view block : {"down_blocks.", "mid_block.", "up_blocks."})
    for (const auto& name : weights.names())
      if (name.starts_with(block) && name.ends_with(".proj_in.weight"))
        json["use_linear_projection"] = weights.shape(name).rank() == 2;
  constexpr const char* added = "add_embedding.linear_1.weight";
  if (weights.contains(added)) {
    const Index width = extent(weights, added, 1);
    const Index rest = width - facts.pooled_width;
    const bool known = facts.pooled_width > 0 && rest > 0 && rest % facts.time_numbers == 0;
    json["addition_embed_type"] = "text_time";
    json["addition_time_embed_dim"] = known ? rest / facts.time_numbers : 256;
    json["projection_class_embeddings_input_dim"] = width;
  }
  constexpr const char* guidance = "time_embedding.cond_proj.weight";
  if (weights.contains(guidance)) json["time_cond_proj_dim"] = extent(weights, guidance, 1);
  return Config::parse(json.dump(), source);
}

Config autoencoder_config(const StateDict& weights, const LatentScale& scale, int picture_size,
                          const std::string& source) {
  std::vector<Index> widths;
  const int levels = count_levels(weights, "encoder.down_blocks.");
  for (int i = 0; i < levels; ++i)
    widths.push_back(extent(weights, list_item("encoder.down_blocks", i, "resnets.0.conv1.weight"), 0));
  const auto count = static_cast<std::size_t>(levels);
  const bool encodes = weights.contains("quant_conv.weight"),
             decodes = weights.contains("post_quant_conv.weight");
  OrderedJson json{{"_class_name", "AutoencoderKL"},
                   {"_diffusers_version", "0.31.0"},
                   {"in_channels", extent(weights, "encoder.conv_in.weight", 1)},
                   {"out_channels", extent(weights, "decoder.conv_out.weight", 0)},
                   {"down_block_types", std::vector<std::string>(count, "DownEncoderBlock2D")},
                   {"up_block_types", std::vector<std::string>(count, "UpDecoderBlock2D")},
                   {"block_out_channels", widths},
                   {"layers_per_block", key_maps::count_numbered(weights, "encoder.down_blocks.0.resnets.")},
                   {"act_fn", "silu"},
                   {"latent_channels", extent(weights, "decoder.conv_in.weight", 1)},
                   {"norm_num_groups", 32},
                   {"sample_size", picture_size},
                   {"scaling_factor", scale.factor},
                   {"force_upcast", true},
                   {"use_quant_conv", encodes},
                   {"use_post_quant_conv", decodes},
                   {"mid_block_add_attention", weights.contains_below("decoder.mid_block.attentions.")}};
  if (scale.shift != 0.0) json["shift_factor"] = scale.shift;
  return Config::parse(json.dump(), source);
}

bool is_tiny_autoencoder(const StateDict& weights) {
  return weights.contains_below("decoder.layers.") && !weights.contains("decoder.conv_in.weight");
}

Config tiny_autoencoder_config(const StateDict& weights, const std::string& source) {
  OrderedJson json{{"_class_name", "AutoencoderTiny"}, {"_diffusers_version", "0.31.0"}};
  const auto add_half = [&](const std::string& half, bool encodes) {
    const std::string layers = half + ".layers.";
    // Convolutions stand alone at the ends of levels; what lies between two of them are blocks.
    std::vector<Index> widths;
    std::vector<int> blocks;
    const int count = key_maps::count_numbered(weights, layers);
    for (int i = 0; i < count; ++i) {
      if (weights.contains(key_maps::joined_name(layers, i, "weight"))) {
        widths.push_back(extent(weights, key_maps::joined_name(layers, i, "weight"), 0));
        blocks.push_back(0);
      } else if (!blocks.empty() && weights.contains(key_maps::joined_name(layers, i, "conv.0.weight"))) {
        ++blocks.back();
      }
    }
    if (widths.size() < 2)
      throw WeightError(weights_name, weights.source() + ": there is no " + half +
                                          ": TAESD lies in two files as a rule, and both are needed");
    json[encodes ? "latent_channels" : "out_channels"] = widths.back();
    widths.pop_back();
    blocks.pop_back();
    json[half + "_block_out_channels"] = widths;
    json["num_" + half + "_blocks"] = blocks;
  };
  add_half("encoder", true);
  add_half("decoder", false);
  json["in_channels"] = extent(weights, "encoder.layers.0.weight", 1);
  return Config::parse(json.dump(), source);
}

Config clip_text_config(const StateDict& weights, bool open_clip, bool projects, const std::string& source) {
  constexpr const char* layers = "text_model.encoder.layers.";
  constexpr const char* embedding = "text_model.embeddings.token_embedding.weight";
  const Index width = extent(weights, embedding, 1);
  const OrderedJson json{
      {"architectures", {projects ? "CLIPTextModelWithProjection" : "CLIPTextModel"}},
      {"model_type", "clip_text_model"},
      {"bos_token_id", 0},
      {"eos_token_id", 2},
      {"pad_token_id", 1},
      {"hidden_act", open_clip ? "gelu" : "quick_gelu"},
      {"hidden_size", width},
      {"intermediate_size", extent(weights, key_maps::joined_name(layers, 0, "mlp.fc1.weight"), 0)},
      {"layer_norm_eps", 1e-5},
      {"max_position_embeddings", extent(weights, "text_model.embeddings.position_embedding.weight", 0)},
      {"num_attention_heads", std::max<Index>(width / 64, 1)},
      {"num_hidden_layers", key_maps::count_numbered(weights, layers)},
      {"projection_dim", projects ? extent(weights, "text_projection.weight", 0) : width},
      {"vocab_size", extent(weights, embedding, 0)}};
  return Config::parse(json.dump(), source);
}

}  // namespace daguerre::weights
