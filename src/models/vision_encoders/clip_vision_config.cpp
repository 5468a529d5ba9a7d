#include "daguerre/models/vision_encoders/clip_vision.hpp"
#include "models/text_encoders/transformers_keys.hpp"

namespace daguerre::models {
namespace {

ClipVisionConfig read_vision(const Config& config) {
  config.expect("model_type", {"\"clip_vision_model\"", "\"clip\""});
  ClipVisionConfig result;
  result.hidden_size = config.get("hidden_size", 768);
  result.intermediate_size = config.get("intermediate_size", 3072);
  result.num_hidden_layers = config.get("num_hidden_layers", 12);
  result.num_attention_heads = config.get("num_attention_heads", 12);
  result.num_channels = config.get("num_channels", 3);
  result.image_size = config.get("image_size", 224);
  result.patch_size = config.get("patch_size", 32);
  result.hidden_act = ops::parse_activation(config.get("hidden_act", "quick_gelu"), config.source());
  result.layer_norm_eps = static_cast<float>(config.get("layer_norm_eps", 1e-5));
  result.projection_dim = config.get("projection_dim", 512);
  leave_transformers_keys(config);
  config.finish();
  constexpr Index most = 1 << 14;  // pixels along a side, and patches far below what an index holds
  const bool possible = result.hidden_size > 0 && result.intermediate_size > 0 &&
                        result.num_hidden_layers > 0 && result.num_attention_heads > 0 &&
                        result.num_channels > 0 && result.patch_size > 0 &&
                        result.image_size >= result.patch_size && result.image_size <= most &&
                        result.projection_dim > 0 && result.layer_norm_eps >= 0.0f &&
                        result.hidden_size % result.num_attention_heads == 0;
  if (!possible)
    throw ConfigError("clip_vision", config.source() +
                                         ": sizes must be positive, image_size no less than patch_size, and "
                                         "num_attention_heads must divide hidden_size");
  return result;
}

}  // namespace

ClipVisionConfig ClipVisionConfig::from(const Config& config) {
  const std::string class_name = config.class_name();
  if (class_name != "CLIPVisionModelWithProjection" && class_name != "CLIPModel")
    throw ConfigError("clip_vision", config.source() + ": class \"" + class_name +
                                         "\" is not CLIPVisionModelWithProjection or CLIPModel");
  const auto part = config.json("vision_config");
  if (!part) return read_vision(config);
  const int projection = config.get("projection_dim", 512);  // both towers have it
  return read_vision(Config::parse(*part, config.source() + ", vision_config")
                         .with("{\"projection_dim\": " + std::to_string(projection) + "}"));
}

}  // namespace daguerre::models
