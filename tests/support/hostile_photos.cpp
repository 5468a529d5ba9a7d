#include "support/hostile.hpp"
#include "support/jpeg_segments.hpp"

/// JPEG and BMP files that are malformed.
namespace daguerre::test {
namespace {

using namespace std::string_literals;

std::string little_endian(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += i < 4 ? static_cast<char>(value >> 8 * i) : char{0};
  return text;
}

struct Bmp {
  std::uint32_t header = 40, width = 2, height = 2, bits = 24, compression = 0, colours = 0, offset = 54;
  std::string rest = std::string(16, '\1');

  std::string file() const {
    return "BM" + little_endian(offset + 16, 4) + little_endian(0, 4) + little_endian(offset, 4) +
           little_endian(header, 4) + little_endian(width, 4) + little_endian(height, 4) +
           little_endian(1, 2) + little_endian(bits, 2) + little_endian(compression, 4) +
           little_endian(0, 4) + std::string(8, '\0') + little_endian(colours, 4) + little_endian(0, 4) +
           rest;
  }
};

}  // namespace

std::vector<HostileFile> hostile_jpegs() {
  std::vector<HostileFile> files;
  const auto add = [&](std::string name, std::string content) {
    files.push_back({std::move(name), {}, std::move(content)});
  };
  const JpegParts valid = grey_jpeg();
  const auto changed = [&](std::string name, auto change) {
    JpegParts parts = valid;
    change(parts);
    add(std::move(name), parts.file());
  };
  const std::string whole = valid.file();
  for (std::size_t size = 2; size < whole.size() - 1; size += 3)
    add("a JPEG file cut to " + std::to_string(size) + " bytes", whole.substr(0, size));
  changed("no tables", [](auto& p) { p.tables.clear(); });
  changed("no frame", [](auto& p) { p.frame.clear(); });
  changed("no scan", [](auto& p) { p.scan = p.data = ""; });
  changed("two frames", [](auto& p) { p.frame += p.frame; });
  changed("the frame behind the scan", [](auto& p) { std::swap(p.frame, p.scan); });
  for (const auto& [width, height] :
       {std::pair{0u, 8u}, {8u, 0u}, {65535u, 8u}, {8u, 65535u}, {16384u, 16384u}})
    changed("a JPEG picture of " + std::to_string(width) + " x " + std::to_string(height),
            [&, w = width, h = height](auto& p) { p.frame = jpeg_frame(0xC0, w, h, "\1\x11\0"s); });
  for (const unsigned char marker : {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
    changed("coding " + std::to_string(marker),
            [&](auto& p) { p.frame = jpeg_frame(marker, 8, 8, "\1\x11\0"s); });
  for (const unsigned char bits : {0, 1, 12, 16, 255})
    changed("samples of " + std::to_string(bits) + " bits",
            [&](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\0"s, bits); });
  for (const std::string& sampling : {"\0"s, "\1"s, "\x10"s, "\x51"s, "\x15"s, "\xFF"s})
    changed("sampling factors " + std::to_string(static_cast<unsigned char>(sampling[0])),
            [&](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1"s + sampling + "\0"s); });
  changed("factors of 2 and 3",
          [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x21\0\2\x31\0\3\x11\0"s); });
  changed("two colours", [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\0\2\x11\0"s); });
  changed("five colours",
          [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\0\2\x11\0\3\x11\0\4\x11\0\5\x11\0"s); });
  changed("no colours", [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, ""); });
  changed("colours without a scan",
          [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\0\2\x11\0\3\x11\0"s); });
  changed("quantisation table 4", [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\4"s); });
  changed("quantisation table 1, which is missing",
          [](auto& p) { p.frame = jpeg_frame(0xC0, 8, 8, "\1\x11\1"s); });
  for (const std::string& scan : {"\0\0\x3F\0"s, "\2\1\0\1\0\0\x3F\0"s, "\1\7\0\0\x3F\0"s, "\1\1\x40\0\x3F\0"s,
                                 "\1\1\4\0\x3F\0"s, "\1\1\x11\0\x3F\0"s, "\1\1"s, ""s})
    changed("a scan of " + std::to_string(scan.size()) + " bytes, " + std::to_string(files.size()),
            [&](auto& p) { p.scan = jpeg_segment(0xDA, scan); });
  for (const std::string& scan : {"\1\1\0\0\x3F\0"s, "\1\1\0\5\4\0"s, "\1\1\0\1\x40\0"s, "\1\1\0\0\0\x0E"s})
    changed("a progressive scan, " + std::to_string(files.size()), [&](auto& p) {
      p.frame = jpeg_frame(0xC2, 8, 8, "\1\x11\0"s);
      p.scan = jpeg_segment(0xDA, scan);
    });
  for (const std::string& table :
       {"\x20"s + std::string(16, '\0'), "\4"s + std::string(16, '\0'),
        "\0\3"s + std::string(15, '\0') + "abc", "\0"s + std::string(14, '\0') + "\xC8\xC8", "\0\1"s,
        "\0"s + std::string(15, '\0') + "\xFF"})
    changed("a Huffman table, " + std::to_string(files.size()),
            [&](auto& p) { p.tables += jpeg_segment(0xC4, table); });
  for (const std::string& table :
       {"\4"s + std::string(64, '\1'), "\0"s + std::string(63, '\1'), "\x10"s + std::string(64, '\1')})
    changed("a quantisation table, " + std::to_string(files.size()),
            [&](auto& p) { p.tables += jpeg_segment(0xDB, table); });
  changed("bits that are no code", [](auto& p) { p.data = "\xFE\xFF"; });
  changed("a coefficient of 16 bits",
          [](auto& p) { p.tables += jpeg_segment(0xC4, jpeg_table_of(0x00, 16)); });
  changed("65 coefficients", [](auto& p) {
    p.tables += jpeg_segment(0xC4, jpeg_table_of(0x10, 0xF1));
    p.data = std::string(40, '\0');
  });
  changed("501 scans", [](auto& p) {
    for (int i = 0; i < 9; ++i) p.scan += p.data, p.scan += p.scan;
  });
  return files;
}

std::vector<HostileFile> hostile_bmps() {
  std::vector<HostileFile> files;
  const auto add = [&](std::string name, const Bmp& bmp) {
    files.push_back({std::move(name), {}, bmp.file()});
  };
  const std::string whole = Bmp().file();
  // The last row's padding may be missing: all pixels are there.
  for (std::size_t size = 2; size < whole.size() - 2; size += 2)
    files.push_back({"a BMP file cut to " + std::to_string(size) + " bytes", {}, whole.substr(0, size)});
  for (const std::uint32_t side : {0u, 16385u, 0x7FFFFFFFu, 0x80000000u}) {
    add("a BMP width of " + std::to_string(side), {.width = side});
    add("a BMP height of " + std::to_string(side), {.height = side});
    add("a BMP square of " + std::to_string(side), {.width = side, .height = side});
  }
  add("8192 x 8192 with four pixels", {.width = 8192, .height = 8192});
  for (const std::uint32_t header : {0u, 11u, 13u, 41u, 125u, 0xFFFFFFFFu})
    add("a BMP header of " + std::to_string(header), {.header = header});
  for (const std::uint32_t bits : {0u, 2u, 3u, 5u, 15u, 25u, 33u, 48u, 64u, 65535u})
    add(std::to_string(bits) + " bits a pixel", {.bits = bits});
  for (const std::uint32_t compression : {1u, 2u, 4u, 5u, 6u, 11u, 0xFFFFFFFFu})
    add("compression " + std::to_string(compression), {.compression = compression});
  add("runs of 8 bits in 4", {.bits = 4, .compression = 1});
  add("runs of 4 bits in 8", {.bits = 8, .compression = 2});
  add("masks for a palette", {.bits = 8, .compression = 3});
  add("a palette of 65537 colours", {.bits = 8, .colours = 65537});
  add("a palette of 2^32 - 1 colours", {.bits = 8, .colours = 0xFFFFFFFF});
  add("a palette that is cut short", {.bits = 8, .colours = 256});
  add("pixels behind the end", {.offset = 5000});
  add("pixels far behind the end", {.offset = 0xFFFFFFFF});
  add("a mask with a hole",
      {.compression = 3, .offset = 66, .rest = "\5\0\0\0\xFF\0\0\0\xFF\0\0\0"s + std::string(16, '\1')});
  return files;
}

}  // namespace daguerre::test
