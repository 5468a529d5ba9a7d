#include "pipeline/clip_image_processor.hpp"

namespace daguerre {
namespace {

constexpr const char* processor_name = "clip_image_processor";

/// A size that is a number, {"shortest_edge"} or {"height", "width"}.
struct ProcessorSize {
  Index shortest = 0, height = 0, width = 0;
};

ProcessorSize read_size(const Config& config, const char* key, Index usual) {
  ProcessorSize size;
  if (const auto text = config.json(key)) {
    const auto part = Config::parse(*text, config.source() + ", " + key);
    if (part.has("shortest_edge"))
      size.shortest = part.require_int("shortest_edge");
    else
      size = {0, part.require_int("height"), part.require_int("width")};
    part.finish();
  } else {
    size.shortest = config.get(key, static_cast<int>(usual));
  }
  const auto possible = [](Index side) { return side >= 1 && side <= Image::max_side; };
  if (size.shortest != 0 ? !possible(size.shortest) : !possible(size.height) || !possible(size.width))
    throw ConfigError(processor_name, config.source() + ": " + key + " is not possible");
  return size;
}

Resampling read_resampling(const Config& config) {
  switch (config.get("resample", 3)) {  // Pillow's numbers
    case 0:
      return Resampling::nearest;
    case 1:
      return Resampling::lanczos;
    case 3:
      return Resampling::bicubic;
    default:
      throw ConfigError(processor_name,
                        config.source() + ": resample is none of 0 (nearest), 1 (Lanczos) and 3 (bicubic)");
  }
}

std::array<float, 3> read_channels(const Config& config, const char* key, const std::array<float, 3>& usual) {
  const auto values = config.doubles(key);
  if (values.empty()) return usual;
  if (values.size() != 3)
    throw ConfigError(processor_name, config.source() + ": " + key + " must have three numbers");
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

}  // namespace

ClipImageProcessor read_clip_image_processor(const Config& config) {
  ClipImageProcessor result;
  result.resize = config.get("do_resize", true);
  const auto size = read_size(config, "size", 224), crop = read_size(config, "crop_size", 224);
  result.shortest_edge = size.shortest;
  result.height = size.height;
  result.width = size.width;
  result.resampling = read_resampling(config);
  result.crop = config.get("do_center_crop", true);
  result.crop_height = crop.shortest != 0 ? crop.shortest : crop.height;
  result.crop_width = crop.shortest != 0 ? crop.shortest : crop.width;
  result.rescale = config.get("do_rescale", true);
  result.rescale_factor = config.get("rescale_factor", 1.0 / 255.0);
  result.normalise = config.get("do_normalize", true);
  result.mean = read_channels(config, "image_mean", result.mean);
  result.deviation = read_channels(config, "image_std", result.deviation);
  config.ignore({"do_convert_rgb", "feature_extractor_type", "image_processor_type", "processor_class",
                 "_valid_processor_keys"});
  config.finish();
  return result;
}

void check_prepared_size(const ClipImageProcessor& processor, Index image_size,
                         const std::string& config_path) {
  if (processor.crop && (processor.crop_height != image_size || processor.crop_width != image_size))
    throw ConfigError("image_encoder", config_path + ": image_size is " + std::to_string(image_size) +
                                           ", the preprocessor cuts out " +
                                           std::to_string(processor.crop_width) + " x " +
                                           std::to_string(processor.crop_height));
}

}  // namespace daguerre
