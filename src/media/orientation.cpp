#include "media/orientation.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace daguerre {
namespace {

constexpr std::uint64_t orientation_tag = 0x0112;
constexpr std::size_t entry_size = 12;

/// Unsigned numbers of a TIFF structure; nothing where it ends too soon.
class TiffReader {
 public:
  TiffReader(std::string_view data, bool big_endian) : data_(data), big_endian_(big_endian) {}

  std::optional<std::uint64_t> number(std::uint64_t at, std::size_t bytes) const {
    if (at > data_.size() || bytes > data_.size() - at) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t from = at + (big_endian_ ? i : bytes - 1 - i);
      value = value << 8 | static_cast<unsigned char>(data_[from]);
    }
    return value;
  }

  /// The first value of the directory entry at `at`, where its type is an integer.
  std::optional<std::uint64_t> entry_value(std::uint64_t at) const {
    const std::uint64_t count = number(at + 4, 4).value_or(0);
    const std::size_t size = size_of_integer(number(at + 2, 2).value_or(0));
    if (size == 0 || count == 0) return std::nullopt;
    if (count * size <= 4) return number(at + 8, size);
    const std::uint64_t elsewhere = number(at + 8, 4).value_or(0);
    return number(elsewhere + (count - 1) * size, size) ? number(elsewhere, size) : std::nullopt;
  }

 private:
  /// Of SHORT, LONG, SBYTE, SSHORT and SLONG; bytes without a sign are data to Pillow.
  static std::size_t size_of_integer(std::uint64_t type) {
    return type == 6 ? 1 : type == 3 || type == 8 ? 2 : type == 4 || type == 9 ? 4 : 0;
  }

  std::string_view data_;
  bool big_endian_;
};

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
