#include "pipeline/backend.hpp"

#include <algorithm>
#include <charconv>

#include "pipeline/name.hpp"

namespace daguerre {

void refuse(bool given, const char* model, const char* what) {
  if (given) throw ArgumentError(pipeline_name, std::string(model) + " takes no " + what);
}

void refuse_prompt_options(const GenerateOptions& options, const char* model) {
  refuse(!options.prompt.empty(), model, "prompt");
  refuse(!options.negative_prompt.empty(), model, "negative prompt");
  refuse(options.clip_skip != 0, model, "clip_skip");
  refuse(!options.init_image.empty(), model, "picture to start from");
  refuse(!options.mask_image.empty(), model, "mask");
  refuse(options.strength >= 0, model, "strength");
}

std::vector<std::int32_t> classes_for_all(const GenerateOptions& options,
                                          const std::vector<std::int32_t>& labels) {
  const auto count = static_cast<std::size_t>(options.count);
  if (labels.size() == 1) return std::vector<std::int32_t>(count, labels.front());
  if (!labels.empty() && labels.size() != count)
    throw ArgumentError(pipeline_name, std::to_string(labels.size()) + " classes for " +
                                           std::to_string(count) +
                                           " pictures: expected one, or one for each");
  return labels;
}

std::pair<Index, Index> size_of(const GenerateOptions& options, Index downscale,
                                std::pair<Index, Index> default_size) {
  Index width = options.width, height = options.height;
  if (options.latents.rank() == 4) {
    if (height == 0) height = checked_multiply(options.latents.dim(1), downscale);
    if (width == 0) width = checked_multiply(options.latents.dim(2), downscale);
  } else if (const Image& picture = options.init_image; !picture.empty()) {
    const auto rounded = [&](Index side) { return side - side % downscale; };
    if (width == 0 && height == 0) {
      width = rounded(picture.width());
      height = rounded(picture.height());
      if (width == 0 || height == 0)
        throw ArgumentError(pipeline_name,
                            "the picture to start from is " + std::to_string(picture.width()) + " x " +
                                std::to_string(picture.height()) + ", smaller than the " +
                                std::to_string(downscale) + " x " + std::to_string(downscale) +
                                " that this model can make; give a width and a height to scale it");
    } else if (width == 0 && height > 0 && height <= Image::max_side) {
      width = std::max(downscale, rounded(height * picture.width() / picture.height()));
    } else if (height == 0 && width > 0 && width <= Image::max_side) {
      height = std::max(downscale, rounded(width * picture.height() / picture.width()));
    }
  }
  return {width == 0 ? default_size.first : width, height == 0 ? default_size.second : height};
}

std::string number(double value) {
  char text[32];  // not printf: its decimal point is the host's locale's
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
  return {text, end};
}

}  // namespace daguerre
