#include <array>
#include <cmath>

#include "daguerre/models/contrastive/clip_model.hpp"

namespace daguerre::models {
namespace {

constexpr const char* clip_model_name = "clip_model";

/// open_clip's mlp_ratio, as a width.
Index inner_width(const Config& part, Index width) {
  const double ratio = part.get("mlp_ratio", 4.0);
  if (!(ratio > 0.0 && ratio <= 1024.0))
    throw ConfigError(clip_model_name, part.source() + ": mlp_ratio is " + std::to_string(ratio) +
                                           ", expected above 0, up to 1024");
  return static_cast<Index>(static_cast<double>(width) * ratio);
}

void check_sizes(const ClipModelConfig& config, const std::string& source) {
  const auto& [text, vision] = config;
  constexpr Index most = 1 << 14;  // pixels along a side
  const bool possible = text.vocab_size > 0 && text.hidden_size > 0 && text.intermediate_size > 0 &&
                        text.num_hidden_layers > 0 && text.num_attention_heads > 0 &&
                        text.hidden_size % text.num_attention_heads == 0 &&
                        text.max_position_embeddings > 0 && text.projection_dim > 0 &&
                        vision.hidden_size > 0 && vision.intermediate_size > 0 &&
                        vision.num_hidden_layers > 0 && vision.num_attention_heads > 0 &&
                        vision.hidden_size % vision.num_attention_heads == 0 && vision.patch_size > 0 &&
                        vision.image_size >= vision.patch_size && vision.image_size <= most;
  if (!possible)
    throw ConfigError(clip_model_name,
                      source +
                          ": sizes must be positive, heads must divide widths, and a picture "
                          "must hold a patch");
}

/// Layers that are there, "PREFIX.0.…" to "PREFIX.(n - 1).…".
int count_layers(const weights::StateDict& weights, const std::string& prefix) {
  int count = 0;
  while (weights.contains(prefix + std::to_string(count) + ".layer_norm1.weight")) ++count;
  return count;
}

/// The shape of a tensor of `rank` axes, none of them empty.
Shape clip_tensor_shape(const weights::StateDict& weights, const std::string& name, int rank) {
  const Shape shape = weights.shape(name);
  if (shape.rank() != rank || shape.size() == 0)
    throw WeightError(clip_model_name, weights.source() + ": tensor \"" + name + "\" has shape " +
                                           to_string(shape) + ", expected one of " + std::to_string(rank) +
                                           " axes");
  return shape;
}

/// A published vision tower whose heads are not 64 channels wide.
struct WideTower {
  Index width, head;
};
constexpr std::array<WideTower, 3> open_clip_wide_towers{{{1280, 80}, {1408, 88}, {1664, 104}}};

}  // namespace

ClipModelConfig ClipModelConfig::from(const Config& config) {
  if (config.class_name() != "CLIPModel")
    throw ConfigError(clip_model_name,
                      config.source() + ": class \"" + config.class_name() + "\" is not CLIPModel");
  return {ClipTextConfig::from(config), ClipVisionConfig::from(config)};
}

ClipModelConfig ClipModelConfig::from_open_clip(const Config& config) {
  const auto part = [&](const char* key) {
    const auto text = config.json(key);
    if (!text) throw ConfigError(clip_model_name, config.source() + ": " + key + " is missing");
    return Config::parse(*text, config.source() + ", " + key);
  };
  const auto activation =
      config.get("quick_gelu", false) ? ops::Activation::quick_gelu : ops::Activation::gelu;
  const int projection = config.require_int("embed_dim");
  config.expect("custom_text", {"false"});
  config.ignore({"init_logit_scale", "init_logit_bias"});

  const auto text_part = part("text_cfg"), vision_part = part("vision_cfg");
  ClipModelConfig result;
  auto& text = result.text;
  text.max_position_embeddings = text_part.get("context_length", 77);
  text.vocab_size = text_part.get("vocab_size", 49408);
  text.hidden_size = text_part.get("width", 512);
  text.num_attention_heads = text_part.get("heads", 8);
  text.num_hidden_layers = text_part.get("layers", 12);
  text.intermediate_size = inner_width(text_part, text.hidden_size);
  text.hidden_act = activation;
  text.eos_token_id = 2;  // open_clip pools at the largest id
  text.projection_dim = projection;
  text_part.finish();

  auto& vision = result.vision;
  vision.image_size = vision_part.get("image_size", 224);
  vision.patch_size = vision_part.get("patch_size", 16);
  vision.hidden_size = vision_part.get("width", 768);
  vision.num_hidden_layers = vision_part.get("layers", 12);
  const int head = vision_part.get("head_width", 64);
  vision.num_attention_heads = head > 0 && vision.hidden_size % head == 0
                                   ? static_cast<int>(vision.hidden_size / head)
                                   : 0;  // refused below
  vision.intermediate_size = inner_width(vision_part, vision.hidden_size);
  vision.hidden_act = activation;
  vision.projection_dim = projection;
  vision_part.finish();
  config.finish();
  check_sizes(result, config.source());
  return result;
}

ClipModelConfig ClipModelConfig::from_weights(const weights::StateDict& weights) {
  const auto shape = [&](const char* name, int rank) { return clip_tensor_shape(weights, name, rank); };
  const auto tokens = shape("text_model.embeddings.token_embedding.weight", 2);
  const auto patches = shape("vision_model.embeddings.patch_embedding.weight", 4);
  const auto projection = shape("text_projection.weight", 2);
  ClipModelConfig result;
  auto& [text, vision] = result;
  text.vocab_size = tokens[0];
  text.hidden_size = tokens[1];
  text.max_position_embeddings = shape("text_model.embeddings.position_embedding.weight", 2)[0];
  text.intermediate_size = shape("text_model.encoder.layers.0.mlp.fc1.weight", 2)[0];
  text.num_hidden_layers = count_layers(weights, "text_model.encoder.layers.");
  text.num_attention_heads = static_cast<int>(text.hidden_size / 64);
  text.eos_token_id = 2;  // pools at the largest id, as both do
  text.projection_dim = projection[0];

  vision.hidden_size = patches[0];
  vision.patch_size = patches[2];
  vision.num_channels = patches[1];
  const Index places = shape("vision_model.embeddings.position_embedding.weight", 2)[0];
  const auto side = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(places - 1))));
  if (side * side != places - 1 || patches[2] != patches[3] || vision.num_channels != 3)
    throw WeightError(clip_model_name, weights.source() + ": " + std::to_string(places) +
                                           " positions and patches " + to_string(patches) +
                                           " are none of square pictures in colour");
  vision.image_size = side * vision.patch_size;
  vision.intermediate_size = shape("vision_model.encoder.layers.0.mlp.fc1.weight", 2)[0];
  vision.num_hidden_layers = count_layers(weights, "vision_model.encoder.layers.");
  vision.projection_dim = projection[0];
  Index head = 64;
  for (const auto& tower : open_clip_wide_towers)
    if (tower.width == vision.hidden_size) {
      head = tower.head;
      text.hidden_act = vision.hidden_act = ops::Activation::gelu;
    }
  vision.num_attention_heads = static_cast<int>(vision.hidden_size / head);
  check_sizes(result, weights.source());
  return result;
}

}  // namespace daguerre::models
