#include "media/orientation.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

#include "media/tiff_reader.hpp"

namespace daguerre {
namespace {

constexpr std::uint64_t orientation_tag = 0x0112;
constexpr std::size_t entry_size = 12;

}  // namespace

std::optional<int> exif_orientation(std::string_view exif) {
  while (exif.starts_with(exif_prefix)) exif.remove_prefix(exif_prefix.size());
  const std::string_view order = exif.substr(0, 2);
  if (order != "II" && order != "MM") return std::nullopt;
  const TiffReader tiff(exif, order == "MM");
  const std::uint64_t magic = tiff.number(2, 2).value_or(0);
  if (magic != 0x002A && magic != 0x2A00) return std::nullopt;  // some writers swap its bytes
  const std::uint64_t directory = tiff.number(4, 4).value_or(exif.size());
  const std::uint64_t entries = tiff.number(directory, 2).value_or(0);
  std::optional<int> orientation;  // the last entry counts
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t at = directory + 2 + i * entry_size;
    if (at + entry_size > exif.size()) break;
    if (tiff.number(at, 2) != orientation_tag) continue;
    if (const auto value = tiff.entry_value(at))
      orientation = static_cast<int>(std::min<std::uint64_t>(*value, 255));
  }
  return orientation;
}

std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view name = "tiff:Orientation";
  for (std::size_t at = xmp.find(name); at != xmp.npos; at = xmp.find(name, at + 1)) {
    std::string_view rest = xmp.substr(at + name.size());
    if (!rest.starts_with("=\"") && !rest.starts_with('>')) continue;
    rest.remove_prefix(rest[0] == '>' ? 1 : 2);
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

Image turned_upright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool transposes = orientation >= 5;
  // Where the upper left pixel of the result comes from, in the picture as it is stored.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const Index width = image.width(), height = image.height(), channels = image.channels();
  Image result(transposes ? height : width, transposes ? width : height, channels);
  std::uint8_t* to = result.pixels().data();
  for (Index y = 0; y < result.height(); ++y)
    for (Index x = 0; x < result.width(); ++x) {
      const Index column = transposes ? y : x, row = transposes ? x : y;
      const Index from =
          (from_bottom ? height - 1 - row : row) * width + (from_right ? width - 1 - column : column);
      to = std::copy_n(image.pixels().data() + from * channels, channels, to);
    }
  return result;
}

}  // namespace daguerre
