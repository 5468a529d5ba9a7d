#include "daguerre/models/denoisers/dit.hpp"

namespace daguerre::models {
namespace {

constexpr const char* dit_name = "dit";

/// Files from before diffusers 0.29 bear the name of the class that several transformers then were.
constexpr const char* old_class_name = "Transformer2DModel";

/// That class's options for others than DiT.
void expect_no_other_transformer(const Config& config) {
  for (const auto* key : {"only_cross_attention", "double_self_attention", "use_linear_projection"})
    config.expect(key, {"false"});
  for (const auto* key :
       {"cross_attention_dim", "num_vector_embeds", "caption_channels", "interpolation_scale"})
    config.expect(key, {"null"});
  config.expect("use_additional_conditions", {"null", "false"});
  config.expect("attention_type", {"\"default\""});
}

DiTConfig from_diffusers(const Config& config) {
  if (config.class_name() == old_class_name) expect_no_other_transformer(config);
  config.expect("norm_type", {"\"ada_norm_zero\""});
  config.expect("norm_elementwise_affine", {"false"});
  // Neither changes the result: softmax is computed in float32 anyway.
  config.ignore({"dropout", "norm_num_groups", "upcast_attention"});
  DiTConfig result;
  result.num_attention_heads = config.get("num_attention_heads", 16);
  result.attention_head_dim = config.get("attention_head_dim", 72);
  result.in_channels = config.get("in_channels", 4);
  result.out_channels = config.optional_int("out_channels").value_or(result.in_channels);
  result.num_layers = config.get("num_layers", 28);
  result.sample_size = config.get("sample_size", 32);
  result.patch_size = config.get("patch_size", 2);
  result.attention_bias = config.get("attention_bias", true);
  result.activation_fn = config.get("activation_fn", "gelu-approximate");
  result.num_classes = config.get("num_embeds_ada_norm", 1000);
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-5));
  return result;
}

DiTConfig from_original(const Config& config) {
  DiTConfig result;
  const int hidden_size = config.get("hidden_size", 1152);
  result.num_attention_heads = config.get("num_heads", 16);
  if (result.num_attention_heads < 1 || hidden_size % result.num_attention_heads != 0)
    throw ConfigError(dit_name, config.source() + ": hidden_size " + std::to_string(hidden_size) +
                                    " does not split into " + std::to_string(result.num_attention_heads) +
                                    " heads");
  result.attention_head_dim = hidden_size / result.num_attention_heads;
  result.in_channels = config.get("in_channels", 4);
  result.out_channels = config.get("learn_sigma", true) ? 2 * result.in_channels : result.in_channels;
  result.num_layers = config.get("depth", 28);
  result.sample_size = config.get("input_size", 32);
  result.patch_size = config.get("patch_size", 2);
  const double mlp_ratio = config.get("mlp_ratio", 4.0);
  result.mlp_ratio = static_cast<Index>(mlp_ratio);
  if (!(mlp_ratio >= 1.0 && mlp_ratio <= 64.0) || static_cast<double>(result.mlp_ratio) != mlp_ratio)
    throw ConfigError(dit_name, config.source() + ": mlp_ratio must be a whole number from 1 to 64");
  result.num_classes = config.get("num_classes", 1000);
  result.has_null_class = config.get("class_dropout_prob", 0.1) > 0.0;
  result.norm_eps = 1e-6f;
  result.timestep.freq_shift = 0.0f;
  result.guided_channels = 3;
  return result;
}

}  // namespace

bool DiTConfig::is_original(const Config& config) {
  return config.class_name().empty() && config.has("input_size") && config.has("hidden_size") &&
         config.has("depth") && config.has("num_heads");
}

DiTConfig DiTConfig::from(const Config& config) {
  const bool original = is_original(config);
  const auto name = config.class_name();
  // Of the old name's transformers norm_type says which they are.
  if (name == old_class_name && !config.has("norm_type"))
    throw ConfigError(dit_name,
                      config.source() + ": " + old_class_name +
                          " without norm_type is not DiTTransformer2DModel, whose is \"ada_norm_zero\"");
  if (!original && name != "DiTTransformer2DModel" && name != old_class_name)
    throw ConfigError(dit_name, config.source() + ": class \"" + name + "\" is not DiTTransformer2DModel");
  const auto result = original ? from_original(config) : from_diffusers(config);
  config.finish();
  const bool possible = result.num_attention_heads > 0 && result.attention_head_dim > 0 &&
                        result.in_channels > 0 && result.out_channels > 0 && result.num_layers > 0 &&
                        result.sample_size > 0 && result.patch_size > 0 && result.num_classes > 0 &&
                        result.sample_size % result.patch_size == 0 && result.dim() % 4 == 0;
  if (!possible)
    throw ConfigError(dit_name,
                      config.source() +
                          ": heads, channels, layers, sizes and classes must be positive, the patch "
                          "size must divide sample_size, and 4 the width of a token");
  return result;
}

}  // namespace daguerre::models
