#include <algorithm>
#include <array>
#include <utility>

#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "models/denoisers/unet_block_types.hpp"
#include "models/denoisers/unet_motion_config.hpp"

namespace daguerre::models {
namespace {

using Attention = UNetBlockShape::Attention;

ops::Activation read_activation(const Config& config, const char* key) {
  const auto name = config.optional_string(key);
  return name ? ops::parse_activation(*name, config.source()) : ops::Activation::none;
}

/// A width that may be absent or null: 0.
Index read_width(const Config& config, const char* key) {
  const int width = config.optional_int(key).value_or(0);
  if (width < 0 || (width == 0 && config.has(key)))
    refuse_unet(config, std::string(key) + " must be positive");
  return width;
}

/// The same where it must be there, because of `reason`.
Index require_width(const Config& config, const char* key, const std::string& reason) {
  const Index width = read_width(config, key);
  if (width == 0) refuse_unet(config, reason + " needs " + key);
  return width;
}

/// The value of a table that the text at `key` names, `none` when it is absent or null. Throws ConfigError.
template <class Kind, std::size_t N>
Kind read_kind(const Config& config, const char* key,
               const std::array<std::pair<const char*, Kind>, N>& known) {
  const auto text = config.optional_string(key);
  if (!text) return Kind::none;
  std::string names;
  for (const auto& [name, kind] : known) {
    if (*text == name) return kind;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  refuse_unet(config, std::string(key) + " \"" + *text + "\" is not supported; supported are: " + names);
}

void read_time(const Config& config, Index channels, UNet2DConditionConfig& result) {
  ops::TimestepEmbeddingOptions sinusoid;
  sinusoid.flip_sin_to_cos = config.get("flip_sin_to_cos", true);
  sinusoid.freq_shift = static_cast<float>(config.get("freq_shift", 0.0));
  config.expect("time_embedding_type", {"\"positional\"", "\"fourier\""});
  const bool fourier = config.get("time_embedding_type", "positional") == "fourier";
  result.time_embedding_dim = read_width(config, "time_embedding_dim");
  if (result.time_embedding_dim == 0) result.time_embedding_dim = (fourier ? 2 : 4) * channels;
  if (fourier && result.time_embedding_dim % 2 != 0)
    refuse_unet(config, "time_embedding_dim must be even where times are embedded by frequencies");
  result.time = {
      .kind = fourier ? TimeProjectionOptions::Kind::fourier : TimeProjectionOptions::Kind::positional,
      .width = fourier ? result.time_embedding_dim : channels,
      .sinusoid = sinusoid};
  result.time_perceptron = {.activation = result.shape.resnet.non_linearity,
                            .post_activation = read_activation(config, "timestep_post_act"),
                            .condition_channels = read_width(config, "time_cond_proj_dim")};
  result.time_activation = read_activation(config, "time_embedding_act_fn");
}

void read_classes(const Config& config, UNet2DConditionConfig& result) {
  using Kind = ClassEmbeddingOptions::Kind;
  auto& classes = result.classes;
  classes.kind =
      read_kind<Kind>(config, "class_embed_type",
                      std::array{std::pair{"timestep", Kind::timestep}, std::pair{"identity", Kind::identity},
                                 std::pair{"projection", Kind::projection},
                                 std::pair{"simple_projection", Kind::simple_projection}});
  classes.rows = read_width(config, "num_class_embeds");
  classes.width = result.time_embedding_dim;
  classes.activation = result.shape.resnet.non_linearity;
  if (classes.kind == Kind::none && classes.rows > 0) classes.kind = Kind::table;
  if (classes.kind == Kind::timestep) classes.input_width = result.time.width;
  if (classes.kind == Kind::projection || classes.kind == Kind::simple_projection)
    classes.input_width = require_width(config, "projection_class_embeddings_input_dim",
                                        "class_embed_type \"projection\" or \"simple_projection\"");
  result.class_embeddings_concat = config.get("class_embeddings_concat", false);
  if (result.class_embeddings_concat && classes.kind == Kind::none)
    refuse_unet(config, "class_embeddings_concat is true, and there is no class embedding");
}

void read_prompt(const Config& config, const std::vector<int>& cross_attention_dims,
                 UNet2DConditionConfig& result) {
  using States = StatesProjectionOptions::Kind;
  using Addition = AdditionEmbeddingOptions::Kind;
  const Index width = cross_attention_dims.front(), hidden = read_width(config, "encoder_hid_dim");
  const bool one_width = std::all_of(cross_attention_dims.begin(), cross_attention_dims.end(),
                                     [&](int dim) { return dim == width; });
  auto& states = result.states;
  states = {.kind = read_kind<States>(config, "encoder_hid_dim_type",
                                      std::array{std::pair{"text_proj", States::text_proj},
                                                 std::pair{"text_image_proj", States::text_image_proj},
                                                 std::pair{"image_proj", States::image_proj}}),
            .input_width = hidden,
            .width = width};
  if (states.kind == States::none && hidden > 0) states.kind = States::text_proj;
  if (states.kind != States::none && hidden == 0)
    refuse_unet(config, "encoder_hid_dim_type needs encoder_hid_dim");

  auto& addition = result.addition;
  addition.kind = read_kind<Addition>(
      config, "addition_embed_type",
      std::array{std::pair{"text", Addition::text}, std::pair{"text_image", Addition::text_image},
                 std::pair{"text_time", Addition::text_time}, std::pair{"image", Addition::image},
                 std::pair{"image_hint", Addition::image_hint}});
  addition.width = result.time_embedding_dim;
  addition.heads = config.get("addition_embed_type_num_heads", 64);
  addition.sinusoid.flip_sin_to_cos = config.get("flip_sin_to_cos", true);
  addition.sinusoid.freq_shift = static_cast<float>(config.get("freq_shift", 0.0));
  addition.time_width = read_width(config, "addition_time_embed_dim");
  const Index projected = read_width(config, "projection_class_embeddings_input_dim");
  switch (addition.kind) {
    case Addition::none:
      break;
    case Addition::text:
      addition.input_width = hidden > 0 ? hidden : width;
      break;
    case Addition::text_image:
      addition.input_width = width;
      break;
    case Addition::text_time:
      addition.time_width =
          require_width(config, "addition_time_embed_dim", "addition_embed_type \"text_time\"");
      addition.input_width =
          require_width(config, "projection_class_embeddings_input_dim", "addition_embed_type \"text_time\"");
      break;
    case Addition::image:
    case Addition::image_hint:
      addition.input_width = require_width(config, "encoder_hid_dim", "addition_embed_type \"image\"");
  }
  static_cast<void>(projected);  // read in any case: files may hold it without a use
  if (!one_width && (states.kind != States::none || addition.kind == Addition::text ||
                     addition.kind == Addition::text_image))
    refuse_unet(config, "cross_attention_dim must be one number where prompts are projected");
}

/// Numbers of heads and what else the configuration says of attention.
struct AttentionReader {
  const Config& config;
  std::size_t count;
  std::vector<int> cross_attention_dims = config.int_or_list("cross_attention_dim", count, 1280);
  // diffusers' attention_head_dim is, by an old mistake kept for its files, the number of heads; in blocks
  // that came later it is what it says.
  std::vector<int> head_dims = config.int_or_list("attention_head_dim", count, 8);
  std::vector<int> heads =
      config.has("num_attention_heads") ? config.int_or_list("num_attention_heads", count, 8) : head_dims;
  std::vector<std::vector<int>> layers = config.int_or_lists("transformer_layers_per_block", count, 1);
  std::vector<bool> only_cross = config.bool_or_list("only_cross_attention", count, false);
  nn::CrossNorm norm =
      read_kind<nn::CrossNorm>(config, "cross_attention_norm",
                               std::array{std::pair{"layer_norm", nn::CrossNorm::layer_norm},
                                          std::pair{"group_norm", nn::CrossNorm::group_norm}});
  bool skip_time_act = config.get("resnet_skip_time_act", false);
  float out_scale = static_cast<float>(config.get("resnet_out_scale_factor", 1.0));

  /// Fills in what concerns attention. `head_dim_of`: the entry of attention_head_dim for blocks that take it
  /// by its name.
  void complete(UNetBlockShape& block, Index channels, std::size_t level, std::size_t head_dim_of) const {
    const bool own_options = block.resnet_resize;  // Resnet… and SimpleCrossAttn… blocks alone have these two
    if (own_options) block.output_scale_factor = out_scale;
    if (own_options) block.skip_time_act = skip_time_act;
    if (block.attention == Attention::none) return;
    block.cross_attention_dim = cross_attention_dims[level];
    block.only_cross_attention = only_cross[level];
    block.cross_norm = norm;
    if (block.kind == UNetBlockShape::Kind::residual && block.attention == Attention::transformer) {
      block.heads = heads[level];
    } else {
      block.head_dim = head_dims[head_dim_of];
      block.heads = block.head_dim < 1 ? 0 : static_cast<int>(channels / block.head_dim);
    }
    const bool possible = block.heads >= 1 && block.heads <= channels &&
                          (block.attention == Attention::pixels || block.cross_attention_dim >= 1);
    if (!possible)
      refuse_unet(config, "level " + std::to_string(level) + " has " + std::to_string(channels) +
                              " channels, " + std::to_string(block.heads) + " attention heads and " +
                              "cross_attention_dim " + std::to_string(block.cross_attention_dim) +
                              "; all must be positive and the heads not more than the channels");
  }

  /// The numbers of transformer layers for a block of `block.layers`, from one for all or one for each.
  void set_layers(UNetBlockShape& block, const std::vector<int>& numbers) const {
    const auto wanted = static_cast<std::size_t>(block.layers);
    block.transformer_layers = numbers.size() == 1 ? std::vector<int>(wanted, numbers.front()) : numbers;
    const bool possible = block.transformer_layers.size() >= wanted &&
                          std::all_of(block.transformer_layers.begin(), block.transformer_layers.end(),
                                      [](int number) { return number >= 1 && number <= 1000; });
    if (!possible)
      refuse_unet(config,
                  "transformer_layers_per_block and its reverse must give each layer a positive number");
  }
};

void read_blocks(const AttentionReader& attention, UNet2DShape& shape) {
  const auto& config = attention.config;
  const std::size_t count = shape.levels.size();
  // From the innermost level outwards.
  auto up_layers = attention.layers;
  std::reverse(up_layers.begin(), up_layers.end());
  const bool asymmetrical = config.has("reverse_transformer_layers_per_block");
  if (asymmetrical) up_layers = config.int_or_lists("reverse_transformer_layers_per_block", count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    auto& level = shape.levels[i];
    if (level.down.kind == UNetBlockShape::Kind::skip || level.up.kind == UNetBlockShape::Kind::skip)
      refuse_unet(config, "blocks with Skip in their name are UNet2DModel's");
    if (!asymmetrical && attention.layers[i].size() > 1)
      refuse_unet(config, "lists in transformer_layers_per_block need reverse_transformer_layers_per_block");
    attention.complete(level.down, level.channels, i, i);
    // The reference does not reverse attention_head_dim on the way up.
    attention.complete(level.up, level.channels, i, count - 1 - i);
    attention.set_layers(level.down, attention.layers[i]);
    attention.set_layers(level.up, up_layers[count - 1 - i]);
  }
}

void read_mid_block(const AttentionReader& attention, UNet2DShape& shape) {
  const auto& config = attention.config;
  config.expect("mid_block_type", {"\"UNetMidBlock2DCrossAttn\"", "\"UNetMidBlock2DSimpleCrossAttn\"",
                                   "\"UNetMidBlock2D\"", "null"});
  const auto scale = static_cast<float>(config.get("mid_block_scale_factor", 1.0));
  if (!(scale > 0.0f || scale < 0.0f) || !(attention.out_scale > 0.0f || attention.out_scale < 0.0f))
    refuse_unet(config, "mid_block_scale_factor and resnet_out_scale_factor must be numbers other than 0");
  // Null means what a single only_cross_attention says.
  const bool for_all = !config.is_list("only_cross_attention") && attention.only_cross.front();
  const bool only_cross = config.has("mid_block_only_cross_attention")
                              ? config.get("mid_block_only_cross_attention", false)
                              : for_all;
  if (config.is_null("mid_block_type")) return;
  const auto type = config.get("mid_block_type", "UNetMidBlock2DCrossAttn");
  const std::size_t last = shape.levels.size() - 1;
  UNetBlockShape mid{.layers = type == "UNetMidBlock2D" ? 0 : 1};
  if (type == "UNetMidBlock2DCrossAttn") mid.attention = Attention::transformer;
  if (type == "UNetMidBlock2DSimpleCrossAttn") {
    mid.attention = Attention::added_kv;
    mid.skip_time_act = attention.skip_time_act;
  }
  attention.complete(mid, shape.levels.back().channels, last, last);
  mid.output_scale_factor = scale;
  mid.only_cross_attention = mid.attention == Attention::added_kv && only_cross;
  attention.set_layers(mid, attention.layers.back());
  shape.mid = mid;
}

}  // namespace

UNet2DConditionConfig UNet2DConditionConfig::from(const Config& config) {
  if (config.class_name() == "UNetMotionModel") {
    auto result = of_any_class(unet_of_pictures(config));
    add_motion_modules(config, MotionPlaces::everywhere, result.shape);
    result.most_frames = result.shape.levels.front().down.motion.positions;
    return result;
  }
  if (config.class_name() != "UNet2DConditionModel")
    refuse_unet(config,
                "class \"" + config.class_name() + "\" is neither UNet2DConditionModel nor UNetMotionModel");
  return of_any_class(config);
}

UNet2DConditionConfig UNet2DConditionConfig::of_any_class(const Config& config) {
  // Boxes for pictures' parts, which "gated" models know, are not among a U-Net's inputs here; without any
  // they are as others.
  config.expect("attention_type", {"\"default\"", "\"gated\"", "\"gated-text-image\""});
  config.expect("dual_cross_attention", {"false"});  // the reference fails at the first call
  config.ignore({"upcast_attention"});  // attention is computed in float32 wherever that could matter

  UNet2DConditionConfig result;
  auto& shape = result.shape;
  shape = read_unet_shape(config, 4);
  read_sample_size(config, result.sample_height, result.sample_width);
  shape.use_linear_projection = config.get("use_linear_projection", false);
  shape.conv_in_kernel = config.get("conv_in_kernel", 3);
  shape.conv_out_kernel = config.get("conv_out_kernel", 3);
  for (const int kernel : {shape.conv_in_kernel, shape.conv_out_kernel})
    if (kernel < 1 || kernel > 31 || kernel % 2 == 0)
      refuse_unet(config, "conv_in_kernel and conv_out_kernel must be odd and positive");
  shape.out_groups = shape.resnet.groups;
  shape.out_activation = shape.resnet.non_linearity;

  read_time(config, shape.levels.front().channels, result);
  read_classes(config, result);
  const AttentionReader attention{config, shape.levels.size()};
  read_prompt(config, attention.cross_attention_dims, result);
  shape.resnet.temb_channels = (result.class_embeddings_concat ? 2 : 1) * result.time_embedding_dim;
  read_blocks(attention, shape);
  read_mid_block(attention, shape);
  config.finish();
  return result;
}

bool UNet2DConditionConfig::reads_states() const {
  const auto looks = [](const UNetBlockShape& block) {
    return block.attention == Attention::transformer || block.attention == Attention::added_kv;
  };
  return addition.kind == AdditionEmbeddingOptions::Kind::text || (shape.mid && looks(*shape.mid)) ||
         std::any_of(shape.levels.begin(), shape.levels.end(),
                     [&](const auto& level) { return looks(level.down) || looks(level.up); });
}

Index UNet2DConditionConfig::cross_attention_dim() const {
  using Kind = StatesProjectionOptions::Kind;
  if (states.kind == Kind::image_proj || !reads_states()) return 0;
  return states.kind == Kind::none ? states.width : states.input_width;
}

}  // namespace daguerre::models
