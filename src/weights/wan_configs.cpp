#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "weights/extents.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/shape_configs.hpp"
#include "weights/transformer_configs.hpp"

namespace daguerre::weights {
namespace {

using WanJson = nlohmann::ordered_json;

/// Of Wan 2.2's latents of 48 channels, as published with it.
constexpr std::array wan_deep_mean{-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174,  0.1838,  0.1557,
                                   -0.1382, 0.0542,  0.2813,  0.0891,  0.1570,  -0.0098, 0.0375,  -0.1825,
                                   -0.2246, -0.1207, -0.0698, 0.5109,  0.2665,  -0.2108, -0.2158, 0.2502,
                                   -0.2055, -0.0322, 0.1109,  0.1567,  -0.0729, 0.0899,  -0.2799, -0.1230,
                                   -0.0313, -0.1649, 0.0117,  0.0723,  -0.2839, -0.2083, -0.0520, 0.3748,
                                   0.0152,  0.1957,  0.1433,  -0.2944, 0.3573,  -0.0548, -0.1681, -0.0667};
constexpr std::array wan_deep_std{
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
    0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
    0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744};
constexpr Index wan_latent_channels = 16;

/// The layers whose hints are added (VACE): every so many blocks one.
std::vector<int> vace_layers(int blocks, int hints) {
  std::vector<int> result;
  for (int i = 0; i < hints; ++i) result.push_back(i * std::max(blocks / std::max(hints, 1), 1));
  return result;
}

/// What the levels of an encoder show.
struct WanLevels {
  std::vector<Index> widths;
  std::vector<bool> halves_time;
  Index blocks = 0;  ///< of the first level
};

/// Levels that are blocks of their own (Wan 2.2).
WanLevels block_levels(const StateDict& weights) {
  WanLevels result;
  const int levels = key_maps::count_numbered(weights, "encoder.down_blocks.");
  for (int i = 0; i < levels; ++i) {
    const auto in_level = [&](const char* rest) {
      return key_maps::joined_name("encoder.down_blocks.", i, rest);
    };
    result.widths.push_back(extent(weights, in_level("resnets.0.conv1.weight"), 0));
    if (i + 1 < levels)
      result.halves_time.push_back(weights.contains(in_level("downsampler.time_conv.weight")));
  }
  result.blocks = key_maps::count_numbered(weights, "encoder.down_blocks.0.resnets.");
  return result;
}

/// Layers in one list, in which a resampler ends a level (Wan 2.1).
WanLevels listed_levels(const StateDict& weights) {
  WanLevels result;
  const int layers = key_maps::count_numbered(weights, "encoder.down_blocks.");
  bool begins = true;
  for (int i = 0; i < layers; ++i) {
    const auto in_layer = [&](const char* rest) {
      return key_maps::joined_name("encoder.down_blocks.", i, rest);
    };
    if (weights.contains(in_layer("resample.1.weight"))) {
      result.halves_time.push_back(weights.contains(in_layer("time_conv.weight")));
      begins = true;
      continue;
    }
    if (begins) result.widths.push_back(extent(weights, in_layer("conv1.weight"), 0));
    if (result.widths.size() == 1) ++result.blocks;
    begins = false;
  }
  return result;
}

}  // namespace

Config wan_config(const StateDict& weights, const DenoiserFacts& /*facts*/, const std::string& source) {
  constexpr Index head = 128;
  const Shape patch = weights.shape("patch_embedding.weight");
  const Index width = std::max<Index>(extent(weights, "patch_embedding.weight", 0), 1);
  const int layers = key_maps::count_numbered(weights, "blocks.");
  const int hints = key_maps::count_numbered(weights, "vace_blocks.");
  const auto extents = [&](int axis) {
    return std::max<Index>(extent(weights, "patch_embedding.weight", axis), 1);
  };
  const Index patch_size = extents(2) * extents(3) * extents(4);
  const std::string image = "condition_embedder.image_embedder.";
  const bool reads_pictures = weights.contains(image + "norm1.weight");
  const bool placed = weights.contains(image + "pos_embed");
  WanJson json{{"_class_name", hints > 0 ? "WanVACETransformer3DModel" : "WanTransformer3DModel"},
               {"_diffusers_version", "0.35.2"},
               {"patch_size", {extents(2), extents(3), extents(4)}},
               {"num_attention_heads", std::max<Index>(width / head, 1)},
               {"attention_head_dim", std::min(head, width)},
               {"in_channels", patch[1]},
               {"out_channels", extent(weights, "proj_out.weight", 0) / patch_size},
               {"text_dim", extent(weights, "condition_embedder.text_embedder.linear_1.weight", 1)},
               {"freq_dim", extent(weights, "condition_embedder.time_embedder.linear_1.weight", 1)},
               {"ffn_dim", extent(weights, "blocks.0.ffn.net.0.proj.weight", 0)},
               {"num_layers", layers},
               {"cross_attn_norm", weights.contains("blocks.0.norm2.weight")},
               {"qk_norm", "rms_norm_across_heads"},
               {"eps", 1e-6},
               {"image_dim", nullptr},
               {"added_kv_proj_dim", nullptr},
               {"pos_embed_seq_len", nullptr}};
  if (reads_pictures) json["image_dim"] = extent(weights, image + "norm1.weight", 0);
  if (weights.contains("blocks.0.attn2.add_k_proj.weight")) json["added_kv_proj_dim"] = width;
  if (placed) json["pos_embed_seq_len"] = extent(weights, image + "pos_embed", 1);
  if (hints > 0) {
    json["vace_layers"] = vace_layers(layers, hints);
    json["vace_in_channels"] = extent(weights, "vace_patch_embedding.weight", 1);
  }
  return Config::parse(json.dump(), source);
}

bool is_wan_autoencoder(const StateDict& weights) {
  const auto* first = weights.find("decoder.conv_in.weight");
  return first != nullptr && first->shape.rank() == 5 && weights.contains("decoder.norm_out.gamma") &&
         weights.contains("decoder.mid_block.attentions.0.to_qkv.weight") &&
         weights.contains("quant_conv.weight");
}

Config wan_autoencoder_config(const StateDict& weights, const std::string& source) {
  const bool is_residual = weights.contains("encoder.down_blocks.0.resnets.0.conv1.weight");
  const auto levels = is_residual ? block_levels(weights) : listed_levels(weights);
  const Index base = std::max<Index>(extent(weights, "encoder.conv_in.weight", 0), 1);
  const Index decoder_base = extent(weights, "decoder.norm_out.gamma", 0);
  const Index channels = extent(weights, "encoder.conv_in.weight", 1);
  const Index latents = extent(weights, "decoder.conv_in.weight", 1);
  const auto patch = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(channels) / 3.0)));
  std::vector<Index> factors;
  for (const Index width : levels.widths) factors.push_back(width / base);
  WanJson json{{"_class_name", "AutoencoderKLWan"},
               {"_diffusers_version", "0.35.2"},
               {"base_dim", base},
               {"decoder_base_dim", decoder_base},
               {"z_dim", latents},
               {"dim_mult", factors},
               {"num_res_blocks", levels.blocks},
               {"attn_scales", WanJson::array()},
               {"temperal_downsample", levels.halves_time},
               {"is_residual", is_residual},
               {"in_channels", channels},
               {"out_channels", extent(weights, "decoder.conv_out.weight", 0)}};
  if (patch > 1) json["patch_size"] = patch;
  if (latents == static_cast<Index>(wan_deep_mean.size())) {
    json["latents_mean"] = wan_deep_mean;
    json["latents_std"] = wan_deep_std;
  } else if (latents != wan_latent_channels) {
    // Of others nothing is known.
    json["latents_mean"] = std::vector<double>(static_cast<std::size_t>(latents), 0.0);
    json["latents_std"] = std::vector<double>(static_cast<std::size_t>(latents), 1.0);
  }
  return Config::parse(json.dump(), source);
}

}  // namespace daguerre::weights
