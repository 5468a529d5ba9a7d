#include "media/picture_file.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "core/attempt.hpp"
#include "core/files.hpp"
#include "media/orientation.hpp"
#include "media/png_header.hpp"
#include "media/stb.hpp"

namespace daguerre {
namespace {

#if DAGUERRE_HAS_WEBP
constexpr auto webp_reader = read_webp;
#else
constexpr Image (*webp_reader)(const PictureFile&) = nullptr;
#endif
#if DAGUERRE_HAS_TIFF
constexpr auto tiff_reader = read_tiff;
#else
constexpr Image (*tiff_reader)(const PictureFile&) = nullptr;
#endif

/// A format, and what reads it; nothing where its library was not compiled in.
struct PictureReader {
  std::string_view format;
  Image (*read)(const PictureFile&);
  std::string_view library;
  std::string_view option;
};

constexpr std::array picture_readers{PictureReader{"PNG", read_png, "", ""},
                                     PictureReader{"JPEG", read_jpeg, "", ""},
                                     PictureReader{"BMP", read_bmp, "", ""},
                                     PictureReader{"GIF", read_gif, "", ""},
                                     PictureReader{"PPM", read_netpbm, "", ""},
                                     PictureReader{"WebP", webp_reader, "libwebp", "DAGUERRE_WITH_WEBP"},
                                     PictureReader{"TIFF", tiff_reader, "libtiff", "DAGUERRE_WITH_TIFF"}};

constexpr auto readable_formats = [] {
  std::array<PictureFormat, picture_readers.size()> formats{};
  for (std::size_t i = 0; i < formats.size(); ++i)
    formats[i] = {picture_readers[i].format, picture_readers[i].read != nullptr, picture_readers[i].library};
  return formats;
}();

/// "PNG, JPEG or BMP".
std::string readable_formats_text() {
  std::vector<std::string_view> names;
  for (const auto& format : readable_formats)
    if (format.is_readable) names.push_back(format.name);
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 < names.size() ? ", " : " or ") + std::string(names[i]);
  return text;
}

/// What a file that is no picture begins like, as a clause; empty where nothing can be said.
std::string what_it_is_instead(const PictureFile& file) {
  if (file.bytes.empty()) return ": it is empty";
  std::string start;
  for (const std::byte byte : file.bytes.first(std::min<std::size_t>(file.bytes.size(), 256)))
    start += static_cast<char>(std::tolower(std::to_integer<int>(byte)));
  if (start.starts_with("version https://git-lfs"))
    return ": it is a pointer of Git LFS; \"git lfs pull\" brings the picture itself";
  if (start.find("<!doctype html") != start.npos || start.find("<html") != start.npos)
    return ": it is an HTML page, as servers send them in the place of a file";
  const std::string_view format = image_format(file.bytes);
  return format.empty() ? std::string() : ": " + std::string(format);
}

}  // namespace

bool is_permitted(Index width, Index height) noexcept {
  return width > 0 && height > 0 && width <= Image::max_side && height <= Image::max_side &&
         width * height <= Image::max_pixels;
}

std::string limit_text() {
  return "the limit is " + std::to_string(Image::max_side) + " a side and " +
         std::to_string(Image::max_pixels >> 20) + " Mi pixels";
}

void PictureFile::check_size(Index width, Index height) const {
  const std::string size = "the picture is " + std::to_string(width) + " x " + std::to_string(height);
  if (width == 0 || height == 0) throw error(size + ": there is nothing in it");
  if (!is_permitted(width, height)) throw error(size + ", " + limit_text());
}

Image read_png(const PictureFile& file) {
  const auto header = read_png_header(file.bytes);
  if (!header) throw file.error("is not a PNG picture with a valid header");
  file.check_size(header->width, header->height);
  const bool is_grey = header->colour_type == 0;
  const bool has_alpha = header->colour_type >= 4 || header->has_transparency;
  const int channels = has_alpha ? 4 : is_grey ? 1 : 3;
  const auto depth = is_grey && header->depth == 16 ? stb::Depth::clipped_16 : stb::Depth::upper_8;
  Image image;
  const std::string problem =
      stb::decode_png(file.bytes, header->width, header->height, channels, depth, [&] {
        image = Image(header->width, header->height, channels);
        return image.pixels();
      });
  if (!problem.empty()) throw file.error("cannot be decoded: " + problem);
  return turned_upright(std::move(image), header->orientation);
}

std::span<const PictureFormat> picture_formats() noexcept {
  return readable_formats;
}

Image Image::load(const std::filesystem::path& path) {
  return naming(path, [&] { return decode(read_file("image", path, picture_file_limit), path.string()); });
}

Expected<Image> Image::try_load(const std::filesystem::path& path) noexcept {
  return attempt([&] { return load(path); });
}

Expected<Image> Image::try_decode(std::span<const std::byte> file, std::string_view name) noexcept {
  return attempt([&] { return decode(file, name); });
}

Image Image::decode(std::span<const std::byte> bytes, std::string_view name) {
  const PictureFile file{bytes, name};
  if (bytes.size() > picture_file_limit) throw file.error("has more than 256 MB");
  const std::string_view format = image_format(bytes);
  for (const auto& reader : picture_readers) {
    if (reader.format != format) continue;
    if (reader.read != nullptr) return reader.read(file);
    throw file.error("is a " + std::string(format) + " picture, and this build has no " +
                     std::string(reader.library) + " to read it (CMake's option " +
                     std::string(reader.option) + ")");
  }
  throw file.error("is not a picture that can be read here" + what_it_is_instead(file) + "; expected " +
                   readable_formats_text());
}

}  // namespace daguerre
