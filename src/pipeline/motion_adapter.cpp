#include "daguerre/pipeline/motion_adapter.hpp"

#include <array>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "daguerre/weights/key_map.hpp"
#include "pipeline/name.hpp"
#include "weights/motion_config.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* motion_part = "motion_adapter";
constexpr const char* domain_file = "pytorch_lora_weights.safetensors";

/// The pipeline of films that has the parts of one of pictures.
std::string film_class(const ModelSource& source) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> known{
      {{"AnimateDiffSDXL", "AnimateDiffSDXLPipeline"},
       {"AnimateDiff", "AnimateDiffPipeline"},
       {"StableDiffusionXL", "AnimateDiffSDXLPipeline"},
       {"StableDiffusion", "AnimateDiffPipeline"}}};
  for (const auto& [pictures, films] : known)
    if (source.class_name().starts_with(pictures) && !source.class_name().starts_with("StableDiffusion3"))
      return std::string(films);
  throw ConfigError(pipeline_name, source.index().source() + ": a " + source.class_name() +
                                       " takes no motion modules, Stable Diffusion 1, 2 and XL do");
}

/// What joining reads of the adapter's configuration.
struct MotionFacts {
  std::vector<int> channels;
  int layers = 0, mid_layers = 0;

  explicit MotionFacts(const Config& config)
      : channels(config.require_ints("block_out_channels")),
        layers(config.get("motion_layers_per_block", 2)),
        mid_layers(config.get("motion_mid_block_layers_per_block", 1)) {
    // Those of the U-Net hold, as in the reference.
    config.ignore({"motion_norm_num_groups"});
  }
};

std::string in_words(const std::vector<int>& numbers) {
  std::string result;
  for (const int number : numbers) result += (result.empty() ? "" : ", ") + std::to_string(number);
  return result;
}

[[noreturn]] void refuse_motion(const ComponentSource& adapter, const ComponentSource& unet,
                                const std::string& problem) {
  throw ConfigError(pipeline_name, adapter.config_path() + ": " + problem + " " + unet.config_path(),
                    adapter.config_file());
}

/// "CrossAttnDownBlock2D" to "CrossAttnDownBlockMotion".
std::vector<std::string> motion_types(const Config& config, const char* key) {
  auto types = config.require_strings(key);
  for (auto& type : types)
    if (type.ends_with("Block2D")) type.replace(type.size() - 2, 2, "Motion");
  return types;
}

/// The U-Net's configuration with motion modules, as diffusers' UNetMotionModel.from_unet2d makes it.
Config joined_config(const ComponentSource& unet, const ComponentSource& adapter) {
  const auto config = unet.config();
  const auto motion = adapter.config();
  const MotionFacts facts(motion);
  if (const auto channels = config.require_ints("block_out_channels"); channels != facts.channels)
    refuse_motion(adapter, unet,
                  "these motion modules are for a U-Net of " + in_words(facts.channels) +
                      " channels, not of " + in_words(channels) + " as in");
  if (const int layers = config.get("layers_per_block", 2); layers != facts.layers)
    refuse_motion(adapter, unet,
                  "these motion modules are for " + std::to_string(facts.layers) +
                      " layers a block, not for " + std::to_string(layers) + " as in");
  if (motion.optional_int("conv_in_channels"))
    refuse_motion(adapter, unet, "motion modules with a first convolution of their own (PIA) do not join");
  const bool middle = motion.get("use_motion_mid_block", true);
  if (middle && facts.mid_layers != 1)
    refuse_motion(adapter, unet, "several motion modules in the middle do not fit");
  const auto value = [&](const char* key, int fallback) {
    return motion.is_list(key) ? json::parse(*motion.json(key)) : json(motion.get(key, fallback));
  };
  json changes{
      {"_class_name", "UNetMotionModel"},
      {"down_block_types", motion_types(config, "down_block_types")},
      {"up_block_types", motion_types(config, "up_block_types")},
      {"use_motion_mid_block", middle},
      {"motion_max_seq_length", motion.get("motion_max_seq_length", 32)},
      {"motion_num_attention_heads", value("motion_num_attention_heads", 8)},
      {"temporal_transformer_layers_per_block", value("motion_transformer_layers_per_block", 1)},
      {"temporal_transformer_layers_per_mid_block", value("motion_transformer_layers_per_mid_block", 1)}};
  motion.finish();
  auto joined = config.with(changes.dump());
  // What is wrong with the modules is told in the name of their own file: the U-Net alone is right.
  (void)models::UNet2DConditionConfig::from(unet.config());
  (void)models::UNet2DConditionConfig::from(Config::parse(joined.dump(), adapter.config_path()));
  return joined;
}

}  // namespace

ModelSource with_joined_motion(const ModelSource& source, bool allow_trailing_bytes) {
  const auto adapter = source.find(motion_part);
  if (!adapter) return source;
  auto unet = source.part("unet", {"UNet2DConditionModel", "UNetMotionModel"});
  if (unet.class_name == "UNetMotionModel") return source.without(motion_part);
  const weights::SafetensorsOptions options{.allow_trailing_bytes = allow_trailing_bytes};
  unet.given_config = joined_config(unet, *adapter);
  auto weights = unet.weights(options).joined(adapter->weights(options));
  if (const auto domain = adapter->folder / domain_file; !adapter->folder.empty() && is_file(domain))
    weights = weights.with_deltas(
        weights::AdapterFile::load(domain).match(weights::AdapterFile::denoiser, weights).deltas);
  unet.given_weights = std::move(weights);
  unet.class_name = "UNetMotionModel";
  return source.without(motion_part).with(std::move(unet));
}

ModelSource with_motion(const ModelSource& source, const fs::path& path, const SourceOptions& options) {
  ComponentSource adapter{.name = motion_part, .library = "diffusers", .class_name = "MotionAdapter"};
  if (is_file(path)) {
    adapter.given_weights = weights::with_diffusers_names(
        weights::StateDict::load(path, {.allow_trailing_bytes = options.allow_trailing_bytes}));
    if (!adapter.given_weights->contains_below("down_blocks.0.motion_modules.0"))
      throw ConfigError(pipeline_name,
                        path.string() +
                            " holds no motion modules: there is nothing below "
                            "down_blocks.0.motion_modules.0",
                        path);
    adapter.given_config = weights::motion_adapter_config(*adapter.given_weights, path.string());
  } else {
    adapter.folder = path;
    if (!is_file(path / "config.json"))
      throw FileError(pipeline_name,
                      path.string() +
                          ": there is no config.json: expected the folder of a MotionAdapter in "
                          "diffusers' layout, or one file",
                      path);
    if (const auto name = Config::load(path / "config.json").class_name(); name != adapter.class_name)
      throw ConfigError(pipeline_name, path.string() + ": class " + in_quotes(name) + " is not MotionAdapter",
                        path);
  }
  return with_joined_motion(source.as(film_class(source)).with(std::move(adapter)),
                            options.allow_trailing_bytes);
}

}  // namespace daguerre
