#include "pipeline/backend.hpp"

#include <charconv>

namespace daguerre {
namespace {

constexpr const char* who = "pipeline";

}  // namespace

void refuse(bool given, const char* model, const char* what) {
  if (given) throw ArgumentError(who, std::string(model) + " takes no " + what);
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
    throw ArgumentError(who, std::to_string(labels.size()) + " classes for " + std::to_string(count) +
                                 " pictures: expected one, or one for each");
  return labels;
}

std::pair<Index, Index> size_of(const GenerateOptions& options, Index downscale, Index default_side) {
  Index width = options.width, height = options.height;
  const bool from_latents = options.latents.rank() == 4;
  if (height == 0) height = from_latents ? checked_multiply(options.latents.dim(1), downscale) : default_side;
  if (width == 0) width = from_latents ? checked_multiply(options.latents.dim(2), downscale) : default_side;
  return {width, height};
}

std::string number(double value) {
  char text[32];  // not printf: its decimal point is the host's locale's
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
  return {text, end};
}

}  // namespace daguerre
