#include <array>
#include <string_view>

#include "daguerre/media/image.hpp"

namespace daguerre {
namespace {

/// Bytes that all files of a format have at some place.
struct Magic {
  std::size_t at;
  std::string_view bytes;
  std::string_view format;
};

constexpr std::array magics{Magic{0, "\x89PNG\r\n\x1A\n", "PNG"},
                            Magic{0, "\xFF\xD8\xFF", "JPEG"},
                            Magic{0, "BM", "BMP"},
                            Magic{0, "GIF87a", "GIF"},
                            Magic{0, "GIF89a", "GIF"},
                            Magic{8, "WEBP", "WebP"},
                            Magic{0, std::string_view("II*\0", 4), "TIFF"},
                            Magic{0, std::string_view("MM\0*", 4), "TIFF"},
                            Magic{0, std::string_view("II+\0", 4), "TIFF"},
                            Magic{0, std::string_view("MM\0+", 4), "TIFF"},
                            Magic{4, "ftypavif", "AVIF"},
                            Magic{4, "ftypavis", "AVIF"},
                            Magic{4, "ftypheic", "HEIC"},
                            Magic{4, "ftypheix", "HEIC"},
                            Magic{4, "ftyphevc", "HEIC"},
                            Magic{4, "ftypmif1", "HEIF"},
                            Magic{4, "ftypmsf1", "HEIF"},
                            Magic{0, "\xFF\x0A", "JPEG XL"},
                            Magic{4, "JXL \r\n\x87\n", "JPEG XL"},
                            Magic{4, "jP  \r\n\x87\n", "JPEG 2000"},
                            Magic{0, "\xFF\x4F\xFF\x51", "JPEG 2000"},
                            Magic{0, "8BPS", "Photoshop"},
                            Magic{0, "qoif", "QOI"},
                            Magic{0, "\x76\x2F\x31\x01", "OpenEXR"},
                            Magic{0, "#?RADIANCE", "Radiance HDR"},
                            Magic{0, "DDS ", "DDS"},
                            Magic{0, std::string_view("\0\0\1\0", 4), "icon"},
                            Magic{0, "%PDF-", "PDF"},
                            Magic{0, "<svg", "SVG"}};

/// "P1" to "P7", then white space.
bool is_netpbm(std::string_view file) {
  return file.size() > 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '7' &&
         std::string_view(" \t\r\n").find(file[2]) != std::string_view::npos;
}

}  // namespace

std::string_view image_format(std::span<const std::byte> start) noexcept {
  const std::string_view file(reinterpret_cast<const char*>(start.data()), start.size());
  for (const auto& magic : magics)
    if (file.size() > magic.at && file.substr(magic.at).starts_with(magic.bytes)) return magic.format;
  return is_netpbm(file) ? "PPM" : std::string_view();
}

}  // namespace daguerre
