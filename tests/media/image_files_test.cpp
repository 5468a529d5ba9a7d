// Picture files: formats, orientation, what is not a picture.
#include <algorithm>
#include <array>
#include <fstream>

#include "daguerre/media/image.hpp"
#include "media/orientation.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/jpeg_segments.hpp"
#include "support/png_chunks.hpp"

using namespace daguerre;
using namespace daguerre::test;
using namespace std::string_literals;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Image decoded(const std::string& file) {
  return Image::decode(bytes_of(file), "x");
}

std::vector<int> values_of(const Image& image) {
  return {image.pixels().begin(), image.pixels().end()};
}

/// 3 x 2 grey pixels: 1 2 3 / 4 5 6.
Image six() {
  Image image(3, 2, 1);
  for (std::size_t i = 0; i < 6; ++i) image.pixels()[i] = static_cast<std::uint8_t>(i + 1);
  return image;
}

/// Those as a PNG file with further chunks behind its header.
std::string six_png(const std::string& chunks) {
  const auto png = six().encode_png();
  std::string file(reinterpret_cast<const char*>(png.data()), png.size());
  return file.insert(33, chunks);
}

/// `image` turned as orientation 6 says: clockwise.
const std::vector<int> six_turned{4, 1, 5, 2, 6, 3};

std::string jpeg_with(const std::string& segments) {
  auto parts = grey_jpeg();
  parts.frame = jpeg_frame(0xC0, 8, 5, "\1\x11\0"s);
  parts.before = segments;
  return parts.file();
}

bool is_turned(const std::string& jpeg) {
  const Image image = decoded(jpeg);
  return image.width() == 5 && image.height() == 8;
}

std::string repeated_text(std::string_view text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

std::vector<int> repeated_values(const std::vector<int>& values, int count) {
  std::vector<int> result;
  for (int i = 0; i < count; ++i) result.insert(result.end(), values.begin(), values.end());
  return result;
}

/// A BMP file of 4 x 2 pixels; `rest` is what comes behind the header: masks or a palette, and pixels.
std::string bmp(int bits, int compression, const std::string& rest, std::size_t pixels_at) {
  const auto number = [](std::size_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += i < 8 ? static_cast<char>(value >> 8 * i) : char{0};
    return text;
  };
  return "BM" + number(0, 8) + number(pixels_at, 4) + number(40, 4) + number(4, 4) + number(2, 4) +
         number(1, 2) + number(static_cast<std::size_t>(bits), 2) +
         number(static_cast<std::size_t>(compression), 4) + number(0, 20) + rest;
}

}  // namespace

TEST_CASE("pictures are turned as their orientation says", "[image]") {
  const std::array<std::vector<int>, 10> expected{{{1, 2, 3, 4, 5, 6},
                                                   {1, 2, 3, 4, 5, 6},
                                                   {3, 2, 1, 6, 5, 4},
                                                   {6, 5, 4, 3, 2, 1},
                                                   {4, 5, 6, 1, 2, 3},
                                                   {1, 4, 2, 5, 3, 6},
                                                   six_turned,
                                                   {6, 3, 5, 2, 4, 1},
                                                   {3, 6, 2, 5, 1, 4},
                                                   {1, 2, 3, 4, 5, 6}}};
  for (int orientation = 0; orientation < 10; ++orientation) {
    INFO(orientation);
    const Image turned = turned_upright(six(), orientation);
    CHECK(turned.width() == (orientation >= 5 && orientation <= 8 ? 2 : 3));
    CHECK(values_of(turned) == expected[static_cast<std::size_t>(orientation)]);
    CHECK(values_of(decoded(six_png(chunk("eXIf", exif_of(orientation))))) ==
          expected[static_cast<std::size_t>(orientation)]);
  }
}

TEST_CASE("EXIF is read in both byte orders and every integer type", "[image]") {
  CHECK(exif_orientation(exif_of(6, "MM")) == 6);
  CHECK(exif_orientation(exif_of(6, "II")) == 6);
  CHECK(exif_orientation("Exif\0\0"s + exif_of(6)) == 6);
  CHECK(exif_orientation("Exif\0\0Exif\0\0"s + exif_of(6)) == 6);
  CHECK(exif_orientation(exif_of("MM", 4, 1, "\0\0\0\6"s)) == 6);
  CHECK(exif_orientation(exif_of("II", 9, 1, "\6\0\0\0"s)) == 6);
  CHECK(exif_orientation(exif_of("II", 8, 1, "\6\0\0\0"s)) == 6);
  CHECK(exif_orientation(exif_of("II", 6, 1, "\6\0\0\0"s)) == 6);
  CHECK(exif_orientation(exif_of("II", 3, 2, "\6\0\3\0"s)) == 6);                      // the first of two
  CHECK(exif_orientation(exif_of("II", 3, 3, "\x1A\0\0\0"s) + "\6\0\1\0\1\0"s) == 6);  // elsewhere
  CHECK(exif_orientation(exif_of(6).replace(2, 2, "*\0"s)) == 6);
}

TEST_CASE("malformed EXIF says nothing", "[image]") {
  const std::string valid = exif_of(6);
  CHECK(exif_orientation(valid.substr(0, valid.size() - 4)) == 6);  // the entry is whole
  for (std::size_t size = 0; size < valid.size() - 4; ++size) {
    INFO(size);
    CHECK_FALSE(exif_orientation(valid.substr(0, size)));
  }
  CHECK_FALSE(exif_orientation("rubbish that is no TIFF file at all"));
  CHECK_FALSE(exif_orientation(exif_of(6).replace(0, 2, "XX")));
  CHECK_FALSE(exif_orientation(exif_of(6).replace(2, 2, "\0\1"s)));
  CHECK_FALSE(exif_orientation(exif_of(6).replace(4, 4, "\xFF\xFF\xFF\xFF")));
  CHECK_FALSE(exif_orientation(exif_of("II", 1, 1, "\6\0\0\0"s)));
  CHECK_FALSE(exif_orientation(exif_of("II", 2, 2, "6\0\0\0"s)));
  CHECK_FALSE(exif_orientation(exif_of("II", 3, 0, "\6\0\0\0"s)));
  CHECK_FALSE(exif_orientation(exif_of("II", 4, 0xFFFFFFFF, "\6\0\0\0"s)));
  CHECK_FALSE(exif_orientation(exif_of("II", 4, 2, "\xFF\xFF\xFF\xFF")));
  CHECK(values_of(decoded(six_png(chunk("eXIf", "rubbish")))) == values_of(six()));
  CHECK_FALSE(is_turned(jpeg_with(jpeg_segment(0xE1, "Exif\0\0rubbish"s))));
}

TEST_CASE("orientation is found wherever Pillow finds it", "[image]") {
  const auto turns = [](const std::string& chunks) {
    return values_of(decoded(six_png(chunks))) == six_turned;
  };
  std::string digits;
  for (const char c : "Exif\0\0"s + exif_of(6)) {
    constexpr char hex[] = "0123456789abcdef";
    digits += {hex[static_cast<unsigned char>(c) >> 4], hex[c & 15]};
    if (digits.size() == 30) digits += '\n';
  }
  const std::string profile = "\nexif\n      36\n" + digits + "\n", keyword = "Raw profile type exif\0"s;
  const std::string xmp = R"(<rdf:Description tiff:Orientation="6"/>)", xmp_key = "XML:com.adobe.xmp\0"s;
  CHECK(turns(chunk("tEXt", keyword + profile)));
  CHECK(turns(chunk("zTXt", keyword + "\0"s + stored(profile))));
  CHECK(turns(chunk("iTXt", keyword + "\0\0\0\0"s + profile)));
  CHECK(turns(chunk("tEXt", "exif\0"s + exif_of(6))));
  CHECK(turns(chunk("iTXt", xmp_key + "\0\0\0\0"s + xmp)));
  CHECK(turns(chunk("iTXt", xmp_key + "\1\0\0\0"s + stored("<tiff:Orientation>6</tiff:Orientation>"))));
  CHECK(turns(chunk("eXIf", exif_of(3)) + chunk("eXIf", exif_of(6))));  // the last one counts
  CHECK(
      turns(chunk("eXIf", exif_of(6)) + chunk("tEXt", keyword + "\nexif\n1\nxx")));  // EXIF itself goes first
  CHECK_FALSE(turns(chunk("eXIf", exif_of(1)) + chunk("iTXt", xmp_key + "\0\0\0\0"s + xmp)));
  CHECK_FALSE(turns(chunk("zTXt", keyword + "\0rubbish"s)));
  CHECK_FALSE(turns(chunk("zTXt", keyword + "\0"s + repeating('a', 8000))));  // two megabytes
  // Behind the pixels, too.
  std::string behind = six_png("");
  CHECK(values_of(decoded(behind.insert(behind.size() - 12, chunk("eXIf", exif_of(6))))) == six_turned);

  const std::string ns = "http://ns.adobe.com/xap/1.0/\0"s;
  CHECK(is_turned(jpeg_with(jpeg_segment(0xE1, "Exif\0\0"s + exif_of(6)))));
  CHECK(is_turned(jpeg_with(jpeg_segment(0xE1, "Exif\0\0"s + exif_of(8, "II")))));
  CHECK(is_turned(jpeg_with(jpeg_segment(0xE0, "JFIF\0\1\1\0\0\1\0\1\0\0"s) +
                            jpeg_segment(0xE1, ns + "<tiff:Orientation>6</tiff:Orientation>"))));
  // EXIF that does not fit into one segment goes on in the next.
  CHECK(is_turned(jpeg_with(jpeg_segment(0xE1, "Exif\0\0"s + exif_of(6).substr(0, 15)) +
                            jpeg_segment(0xE1, "Exif\0\0"s + exif_of(6).substr(15)))));
  CHECK_FALSE(is_turned(jpeg_with("")));
}

TEST_CASE("transparency by a colour or a palette becomes alpha", "[image]") {
  const Image image = decoded(six_png(chunk("tRNS", "\0\2"s)));
  CHECK(image.channels() == 4);
  CHECK(image.pixels()[3] == 255);
  CHECK(image.pixels()[4] == 2);
  CHECK(image.pixels()[7] == 0);
  CHECK(values_of(image.to_channels(3).to_channels(1)) == values_of(six()));
}

TEST_CASE("CMYK without Adobe's segment is read as with it", "[image]") {
  const std::string file = read_file(golden("images/files/cmyk.jpg"));
  const auto at = file.find("\xFF\xEE");
  REQUIRE(at != std::string::npos);
  const auto without = file.substr(0, at) + file.substr(at + 2 + 14);
  CHECK(values_of(decoded(without)) == values_of(decoded(file)));
  // Anything but "CMYK" in that segment means YCCK.
  auto ycck = file;
  ycck[at + 15] = 2;
  CHECK(values_of(decoded(ycck)) != values_of(decoded(file)));
  CHECK(values_of(decoded(file.substr(0, at + 15) + "\1" + file.substr(at + 16))) ==
        values_of(decoded(ycck)));
}

TEST_CASE("BMP files of all depths are read", "[image]") {
  const std::string four("\0\0\0\0\xFF\xFF\xFF\0\1\2\3\0\4\5\6\0",
                         16);  // colours: black, white, 3 2 1, 6 5 4
  const std::string four_bits = four + std::string(48, '\0');
  CHECK(values_of(decoded(bmp(1, 0, four.substr(0, 8) + "\x50\0\0\0\xA0\0\0\0"s, 62)).to_channels(1)) ==
        std::vector<int>{255, 0, 255, 0, 0, 255, 0, 255});
  const std::vector<int> coloured{3,   2,   1,   6, 5, 4, 0, 0, 0, 255, 255, 255,
                                  255, 255, 255, 0, 0, 0, 6, 5, 4, 3,   2,   1};
  CHECK(values_of(decoded(bmp(4, 0, four_bits + "\x10\x32\0\0\x23\x01\0\0"s, 118))) == coloured);
  // The same in runs: two of each, single ones, a row that ends by itself, the end.
  CHECK(values_of(decoded(bmp(4, 2, four_bits + "\0\4\x10\x32\0\0\2\x23\2\x01\0\1"s, 118))) == coloured);
  std::string large = four + std::string(1008, '\0');
  CHECK(values_of(decoded(bmp(8, 1, large + "\4\2\0\0\1\3\0\2\2\0\1\2\0\1"s, 1078))) ==
        std::vector<int>{6, 5, 4, 0, 0, 0, 0, 0, 0, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1});
  // 5 bits of each colour: v * 255 / 31, rounded down; 6 of green where masks say so.
  const std::string pixel = "\x41\x0C";  // 0 00011 00010 00001, or 00001 100010 00001
  CHECK(values_of(decoded(bmp(16, 0, repeated_text(pixel, 8), 54))) == repeated_values({24, 16, 8}, 8));
  const std::string masks("\0\xF8\0\0\xE0\x07\0\0\x1F\0\0\0", 12);
  CHECK(values_of(decoded(bmp(16, 3, masks + repeated_text(pixel, 8), 66))) ==
        repeated_values({8, 137, 8}, 8));
  CHECK(values_of(decoded(bmp(32, 0, repeated_text("\1\2\3\4", 8), 54))) == repeated_values({3, 2, 1}, 8));
}

TEST_CASE("PBM, PGM and PPM files are read, with comments and any largest value", "[image]") {
  CHECK(values_of(decoded("P1 # bits\n3 1\n1 01")) == std::vector<int>{0, 255, 0});
  CHECK(values_of(decoded("P4 3 1\n\xA0")) == std::vector<int>{0, 255, 0});
  CHECK(values_of(decoded("P2 3 1 4 0 1 4")) == std::vector<int>{0, 64, 255});
  CHECK(values_of(decoded("P6\n1 1\n65535\n\xFF\xFF\x80\x80\0\0"s)) == std::vector<int>{255, 128, 0});
  CHECK(values_of(decoded("P5 2 1 65535 \0\7\7\0"s)) == std::vector<int>{7, 255});
}

TEST_CASE("formats are told by their first bytes", "[image]") {
  for (const auto& [start, format] : {std::pair{"\x89PNG\r\n\x1A\n"s, "PNG"},
                                      {"\xFF\xD8\xFF\xE0"s, "JPEG"},
                                      {"BM"s, "BMP"},
                                      {"GIF89a"s, "GIF"},
                                      {"RIFF1234WEBPVP8 "s, "WebP"},
                                      {"II*\0"s, "TIFF"},
                                      {"MM\0*"s, "TIFF"},
                                      {"P6\n1 1"s, "PPM"},
                                      {"\0\0\0\x20"
                                       "ftypavif"s,
                                       "AVIF"},
                                      {"\0\0\0\x18"
                                       "ftypheic"s,
                                       "HEIC"},
                                      {"\xFF\x0A"s, "JPEG XL"},
                                      {"8BPS"s, "Photoshop"}}) {
    CHECK(image_format(bytes_of(start)) == format);
    CHECK(image_format(bytes_of(std::string_view(start).substr(0, 1))).empty());
  }
  CHECK(image_format({}).empty());
  CHECK(image_format(bytes_of("PK\3\4")).empty());
}

TEST_CASE("what is not a picture is told for what it is", "[image]") {
  const auto refused = [](const std::string& file, std::initializer_list<std::string_view> parts) {
    expect_error<FormatError>([&] { (void)decoded(file); }, parts);
  };
  refused("", {"x: is not a picture that can be read here: it is empty", "PNG, JPEG, BMP, GIF"});
  refused("8BPS", {"is not a picture that can be read here: Photoshop", "PNG, JPEG, BMP, GIF"});
  for (const auto& format : picture_formats()) {
    // Where the library is not there, its name is told.
    if (format.name == "WebP") refused("RIFF1234WEBPVP8 ", {"x: ", format.is_readable ? "WebP" : "libwebp"});
    if (format.name == "TIFF") refused("II*\0"s, {"x: ", format.is_readable ? "decoded" : "libtiff"});
  }
  // A large TIFF picture in a few bytes: width, height, compression, place and size of its only strip.
  const auto tiff = [](char compression, char stored) {
    std::string file = "II*\0\x0A\0\0\0\7\7\5\0"s;
    const auto entry = [&](char tag, const std::string& value) {
      file += std::string{tag, 1, 4, 0, 1, 0, 0, 0} + value;
    };
    entry(0, "\0\x20\0\0"s);
    entry(1, "\0\x20\0\0"s);
    entry(3, std::string{compression, 0, 0, 0});
    entry(0x11, "\x08\0\0\0"s);
    entry(0x17, std::string{stored, 0, 0, 0});
    return file + "\0\0\0\0"s;
  };
  for (const auto& format : picture_formats()) {
    if (format.name != "TIFF" || !format.is_readable) continue;
    refused(tiff(1, 2), {"8192 x 8192"});
    refused(tiff(8, 2), {"8192 x 8192 in 2 bytes"});
    refused(tiff(77, 2), {"compression"});
  }
  refused("GIF89a", {"GIF", "cut short"});
  refused("GIF89a\1\0\1\0\0\0\0;"s, {"no picture in this GIF file"});
  refused("GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\1\7\0"s, {"stands for nothing"});
  refused("P5 2 2 255 abc", {"cut short"});
  refused("P2 2 1 7 8 1", {"larger than the largest"});
  refused("P6 1 1 70000 abc", {"largest value is 70000"});
  refused("P7\nWIDTH 1", {"kind P7"});
  refused("\n<!DOCTYPE html><html>", {"HTML"});
  refused("version https://git-lfs.github.com/spec/v1\noid sha256:1", {"git lfs pull"});
  refused("hello", {"can be read here; expected"});
  refused("\xFF\xD8\xFF", {"JPEG"});
  auto parts = grey_jpeg();
  parts.frame = jpeg_frame(0xC9, 8, 8, "\1\x11\0"s);
  refused(parts.file(), {"arithmetic coding"});
  parts.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\0"s, 12);
  refused(parts.file(), {"12 bits"});
  parts = grey_jpeg();
  parts.end.clear();
  refused(parts.file(), {"cut short"});
}

TEST_CASE("sizes beyond the limit are refused in every format, before anything is decoded", "[image]") {
  const auto refused = [](const std::string& file, std::string_view size) {
    expect_error<FormatError>([&] { (void)decoded(file); },
                              {"the picture is", size, "the limit is 16384 a side and 64 Mi pixels"});
  };
  const std::string header = big_endian(60000) + big_endian(60000) + "\10\2\0\0\0"s;
  refused("\x89PNG\r\n\x1A\n" + chunk("IHDR", header) + chunk("IDAT", "") + chunk("IEND", ""),
          "60000 x 60000");
  auto parts = grey_jpeg();
  parts.frame = jpeg_frame(0xC0, 60000, 50000, "\1\x11\0"s);
  refused(parts.file(), "60000 x 50000");
  refused("GIF89a\x60\xEA\x60\xEA\0\0\0,\0\0\0\0\1\0\1\0\0\2\1\7\0"s, "60000 x 60000");
  refused("P6 60000 50000 255 ", "60000 x 50000");
  auto huge = bmp(24, 0, std::string(64, '\0'), 54);
  huge.replace(18, 4, "\0\0\1\0"s);
  refused(huge, "65536 x 2");
}
