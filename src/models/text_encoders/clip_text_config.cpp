#include "daguerre/models/text_encoders/clip_text.hpp"
#include "models/text_encoders/transformers_keys.hpp"

namespace daguerre::models {
namespace {

/// The part that is the text encoder's where `config` is a whole CLIPConfig, else `config`.
Config text_part(const Config& config) {
  if (!config.has("text_config")) {
    // Some converters wrote a CLIPConfig's type above the keys of its text_config.
    config.expect("model_type", {"\"clip_text_model\"", "\"clip\""});
    return config;
  }
  auto part = Config::parse(*config.json("text_config"), config.source() + ", text_config");
  part.expect("model_type", {"\"clip_text_model\""});
  return part;
}

ClipTextConfig read(const Config& config, bool with_projection) {
  ClipTextConfig result;
  result.vocab_size = config.get("vocab_size", 49408);
  result.hidden_size = config.get("hidden_size", 512);
  result.intermediate_size = config.get("intermediate_size", 2048);
  result.num_hidden_layers = config.get("num_hidden_layers", 12);
  result.num_attention_heads = config.get("num_attention_heads", 8);
  result.max_position_embeddings = config.get("max_position_embeddings", 77);
  result.hidden_act = ops::parse_activation(config.get("hidden_act", "quick_gelu"), config.source());
  result.layer_norm_eps = static_cast<float>(config.get("layer_norm_eps", 1e-5));
  result.eos_token_id = config.get("eos_token_id", 49407);
  result.use_attention_mask = config.get("use_attention_mask", false);
  if (with_projection)
    result.projection_dim = config.optional_int("projection_dim").value_or(512);
  else
    config.ignore({"projection_dim"});
  leave_transformers_keys(config);
  config.finish();

  const bool possible = result.vocab_size > 0 && result.hidden_size > 0 && result.intermediate_size > 0 &&
                        result.num_hidden_layers > 0 && result.num_attention_heads > 0 &&
                        result.max_position_embeddings > 0 &&
                        (result.projection_dim > 0 || !with_projection) && result.layer_norm_eps >= 0.0f &&
                        result.hidden_size % result.num_attention_heads == 0;
  if (!possible)
    throw ConfigError(
        "clip_text",
        config.source() + ": sizes must be positive and num_attention_heads must divide hidden_size");
  return result;
}

}  // namespace

ClipTextConfig ClipTextConfig::from(const Config& config) {
  const std::string class_name = config.class_name();
  if (class_name == "CLIPModel") {  // both towers, whose projections have one width
    const int projection = config.get("projection_dim", 512);
    const auto part = text_part(config).with("{\"projection_dim\": " + std::to_string(projection) + "}");
    part.ignore({"model_type"});  // has been looked at
    return read(part, true);
  }
  if (class_name != "CLIPTextModel" && class_name != "CLIPTextModelWithProjection")
    throw ConfigError("clip_text", config.source() + ": class \"" + class_name +
                                       "\" is not CLIPTextModel or CLIPTextModelWithProjection");
  return read(text_part(config), class_name == "CLIPTextModelWithProjection");
}

}  // namespace daguerre::models
