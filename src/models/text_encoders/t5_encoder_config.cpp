#include <algorithm>
#include <cmath>

#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "models/text_encoders/transformers_keys.hpp"

namespace daguerre::models {
namespace {

/// `feed_forward_proj`: "relu", "gated-gelu", "gated-silu" …; newer files say what it means, too, and that
/// counts.
void read_feed_forward(const Config& config, const char* fallback, T5EncoderConfig& result) {
  const std::string projection = config.get("feed_forward_proj", fallback);
  const bool gated = projection.starts_with("gated-");
  // What T5 v1.1 calls gelu is its tanh approximation.
  const std::string name = projection == "gated-gelu" ? "gelu_new" : projection.substr(gated ? 6 : 0);
  result.activation = ops::parse_activation(config.get("dense_act_fn", name.c_str()), config.source());
  result.is_gated = config.get("is_gated_act", gated);
}

}  // namespace

T5EncoderConfig T5EncoderConfig::from(const Config& config) {
  const std::string class_name = config.class_name();
  if (class_name != "T5EncoderModel" && class_name != "UMT5EncoderModel")
    throw ConfigError("t5_encoder", config.source() + ": class \"" + class_name +
                                        "\" is not T5EncoderModel or UMT5EncoderModel");
  const bool is_umt5 = class_name == "UMT5EncoderModel";
  config.expect("model_type", {is_umt5 ? "\"umt5\"" : "\"t5\""});
  T5EncoderConfig result;
  result.bias_each_layer = is_umt5;
  result.vocab_size = config.get("vocab_size", is_umt5 ? 250112 : 32128);
  result.d_model = config.get("d_model", 512);
  result.d_kv = config.get("d_kv", 64);
  result.d_ff = config.get("d_ff", is_umt5 ? 1024 : 2048);
  result.num_layers = config.get("num_layers", is_umt5 ? 8 : 6);
  result.num_heads = config.get("num_heads", is_umt5 ? 6 : 8);
  result.relative_attention_num_buckets = config.get("relative_attention_num_buckets", 32);
  result.relative_attention_max_distance = config.get("relative_attention_max_distance", 128);
  result.layer_norm_epsilon = static_cast<float>(config.get("layer_norm_epsilon", 1e-6));
  read_feed_forward(config, is_umt5 ? "gated-gelu" : "relu", result);
  config.ignore({"classifier_dropout", "dropout_rate", "eos_token_id", "n_positions", "num_decoder_layers",
                 "output_past", "scalable_attention"});
  leave_transformers_keys(config);
  config.finish();

  const int exact = result.relative_attention_num_buckets / 4;
  const bool possible = result.vocab_size > 0 && result.d_model > 0 && result.d_kv > 0 && result.d_ff > 0 &&
                        result.num_layers > 0 && result.num_heads > 0 && exact > 0 &&
                        result.relative_attention_max_distance > exact && result.layer_norm_epsilon >= 0.0f;
  if (!possible)
    throw ConfigError("t5_encoder",
                      config.source() +
                          ": sizes must be positive, relative_attention_num_buckets at least 4, and "
                          "relative_attention_max_distance more than a quarter of these");
  return result;
}

std::vector<std::int32_t> relative_position_buckets(Index length, int buckets, int max_distance) {
  const int half = buckets / 2, exact = half / 2;
  // In float32, as the reference; its logarithm of the whole range is a Python float.
  const auto range =
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  std::vector<std::int32_t> result;
  result.reserve(static_cast<std::size_t>(2 * length - 1));
  for (Index offset = 1 - length; offset < length; ++offset) {
    const Index distance = offset < 0 ? -offset : offset;
    auto bucket = static_cast<int>(std::min<Index>(distance, exact));
    if (distance >= exact) {
      const float part = std::log(static_cast<float>(distance) / static_cast<float>(exact)) / range *
                         static_cast<float>(half - exact);
      bucket = std::min(exact + static_cast<int>(part), half - 1);
    }
    result.push_back(bucket + (offset > 0 ? half : 0));
  }
  return result;
}

}  // namespace daguerre::models
