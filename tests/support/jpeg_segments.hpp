#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace daguerre::test {

/// What a JPEG file consists of, to be put together wrongly too.
struct JpegParts {
  std::string before{};  ///< segments ahead of all others
  std::string tables;    ///< quantisation and Huffman tables
  std::string frame;     ///< with its marker
  std::string scan;      ///< with its marker
  std::string data;      ///< entropy-coded
  std::string end = "\xFF\xD9";

  std::string file() const { return "\xFF\xD8" + before + tables + frame + scan + data + end; }
};

/// A marker, the length, the data.
inline std::string jpeg_segment(unsigned char marker, const std::string& data) {
  const auto size = data.size() + 2;
  return std::string("\xFF") + static_cast<char>(marker) + static_cast<char>(size >> 8) +
         static_cast<char>(size) + data;
}

/// A Huffman table whose only code, of one bit, is `symbol`.
inline std::string jpeg_table_of(unsigned char what, unsigned char symbol) {
  return static_cast<char>(what) + (std::string(1, '\1') + std::string(15, '\0')) + static_cast<char>(symbol);
}

inline std::string jpeg_frame(unsigned char marker, unsigned width, unsigned height,
                              const std::string& components, unsigned char bits = 8) {
  std::string data(1, static_cast<char>(bits));
  for (const unsigned side : {height, width}) data += {static_cast<char>(side >> 8), static_cast<char>(side)};
  return jpeg_segment(marker, data + static_cast<char>(components.size() / 3) + components);
}

/// 8 x 8 grey pixels of value 135: one quantised coefficient of 7, quantiser 8, in tables of one code each.
inline JpegParts grey_jpeg() {
  using namespace std::string_literals;
  return {.tables = jpeg_segment(0xDB, "\0"s + std::string(64, '\10')) +
                    jpeg_segment(0xC4, jpeg_table_of(0x00, 3)) + jpeg_segment(0xC4, jpeg_table_of(0x10, 0)),
          .frame = jpeg_frame(0xC0, 8, 8, "\1\x11\0"s),
          .scan = jpeg_segment(0xDA, "\1\1\0\0\x3F\0"s),
          .data = "\x77"};
}

/// EXIF data of one entry, Orientation; `numbers` has the byte order of `order`, "II" or "MM".
inline std::string exif_of(std::string_view order, unsigned type, std::uint32_t count,
                           const std::string& value) {
  const auto number = [&](std::uint32_t n, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i)
      text += static_cast<char>(n >> (order == "MM" ? 8 * (bytes - 1 - i) : 8 * i));
    return text;
  };
  return std::string(order) + number(42, 2) + number(8, 4) + number(1, 2) + number(0x0112, 2) +
         number(type, 2) + number(count, 4) + value + number(0, 4);
}

/// The usual form: one number of 16 bits.
inline std::string exif_of(int orientation, std::string_view order = "MM") {
  const auto low = static_cast<char>(orientation);
  return exif_of(order, 3, 1, order == "MM" ? std::string({0, low, 0, 0}) : std::string({low, 0, 0, 0}));
}

}  // namespace daguerre::test
