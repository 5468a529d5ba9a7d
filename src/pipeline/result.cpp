#include "daguerre/pipeline/result.hpp"

#include "pipeline/name.hpp"

namespace daguerre {
namespace {

void check_number(std::size_t n, std::size_t count, const char* what) {
  if (n >= count)
    throw ArgumentError(pipeline_name, "there is no " + std::string(what) + " " + std::to_string(n) +
                                           " among " + std::to_string(count));
}

}  // namespace

std::span<const Image> Result::film(std::size_t n) const {
  check_number(n, count(), frames > 1 ? "film" : "image");
  return std::span(images).subspan(n * frames, frames);
}

void Result::save_png(const std::filesystem::path& path, std::size_t n) const {
  check_number(n, images.size(), "image");
  const std::size_t item = frames == 0 ? n : n / frames;
  images[n].save_png(path, item < infotexts.size() ? PngText{{"parameters", infotexts[item]}} : PngText());
}

}  // namespace daguerre
