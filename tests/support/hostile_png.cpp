#include <cstdint>
#include <utility>

#include "support/hostile.hpp"
#include "support/png_chunks.hpp"

namespace daguerre::test {
namespace {

struct Header {
  std::uint32_t width = 2, height = 2;
  int depth = 8, colour = 2, compression = 0, filter = 0, interlace = 0;
};

std::string header_chunk(const Header& header) {
  std::string data = big_endian(header.width) + big_endian(header.height);
  for (const int value : {header.depth, header.colour, header.compression, header.filter, header.interlace})
    data += static_cast<char>(value);
  return chunk("IHDR", data);
}

constexpr std::string_view signature("\x89PNG\r\n\x1A\n", 8);

std::string png(const Header& header, const std::string& chunks) {
  return std::string(signature) + header_chunk(header) + chunks + chunk("IEND", "");
}

const std::string four_pixels = stored(std::string(14, '\0'));  // 2 x 2 of RGB, a filter byte a row

}  // namespace

std::vector<HostileFile> hostile_pictures() {
  std::vector<HostileFile> files;
  const auto add = [&](std::string name, std::string content) {
    files.push_back({std::move(name), {}, std::move(content)});
  };
  const std::string valid = png({}, chunk("IDAT", four_pixels));
  const std::size_t end = valid.size() - 12;  // what follows is IEND, which the pixels do not need
  for (std::size_t size = 0; size < end - 20; size += size < 33 ? 1 : 3)
    add("cut to " + std::to_string(size) + " bytes", valid.substr(0, size));
  for (const std::uint32_t side : {0u, 16385u, 65535u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
    add("a width of " + std::to_string(side), png({.width = side}, chunk("IDAT", four_pixels)));
    add("a height of " + std::to_string(side), png({.height = side}, chunk("IDAT", four_pixels)));
    add("a square of " + std::to_string(side),
        png({.width = side, .height = side}, chunk("IDAT", four_pixels)));
  }
  add("8192 x 8192 without pixels", png({.width = 8192, .height = 8192}, {}));
  add("8192 x 8192 with four pixels", png({.width = 8192, .height = 8192}, chunk("IDAT", four_pixels)));
  for (const int depth : {0, 3, 5, 32, 255})
    add("depth " + std::to_string(depth), png({.depth = depth}, chunk("IDAT", four_pixels)));
  for (const int colour : {1, 3, 5, 7, 255})
    add("colour type " + std::to_string(colour), png({.colour = colour}, chunk("IDAT", four_pixels)));
  add("an unknown compression", png({.compression = 1}, chunk("IDAT", four_pixels)));
  add("an unknown filter method", png({.filter = 1}, chunk("IDAT", four_pixels)));
  add("an unknown interlacing", png({.interlace = 2}, chunk("IDAT", four_pixels)));
  add("an unknown row filter", png({}, chunk("IDAT", stored(std::string(14, '\7')))));
  add("no pixels", png({}, {}));
  add("too few pixels", png({}, chunk("IDAT", stored(std::string(7, '\0')))));
  add("no zlib stream", png({}, chunk("IDAT", "abcdefgh")));
  add("an empty IDAT", png({}, chunk("IDAT", "")));
  add("a zlib dictionary", png({}, chunk("IDAT", "\x78\x20" + four_pixels.substr(2))));
  add("two headers", png({}, header_chunk({}) + chunk("IDAT", four_pixels)));
  add("a palette of 85.3 colours",
      png({.colour = 3}, chunk("PLTE", std::string(256, '\1')) + chunk("IDAT", four_pixels)));
  add("a palette of 257 colours",
      png({.colour = 3}, chunk("PLTE", std::string(771, '\1')) + chunk("IDAT", four_pixels)));
  add("transparency before the palette", png({.colour = 3}, chunk("tRNS", "a") + chunk("IDAT", four_pixels)));
  add("an unknown critical chunk", png({}, chunk("ABCD", "x") + chunk("IDAT", four_pixels)));
  add("a chunk of 2 GiB", std::string(signature) + header_chunk({}) + big_endian(0x7FFFFFFF) + "IDAT");
  add("a chunk of 4 GiB", std::string(signature) + header_chunk({}) + big_endian(0xFFFFFFFF) + "IDATabc");
  add("a bomb of 200 MB without end", png({}, chunk("IDAT", repeating(0, 800'000, false))));
  add("no header", std::string(signature) + chunk("IDAT", four_pixels) + chunk("IEND", ""));
  add("another signature", "\x8APNG\r\n\x1A\n" + valid.substr(8));
  return files;
}

std::vector<HostileFile> hostile_png_text() {
  std::vector<HostileFile> files;
  const auto add = [&](std::string name, std::string content) {
    files.push_back({std::move(name), {}, std::move(content)});
  };
  const auto text = [&](std::string name, const std::string& type, const std::string& data) {
    add(std::move(name), png({}, chunk(type, data)));
  };
  using namespace std::string_literals;
  const std::string valid =
      png({}, chunk("tEXt", "key\0value"s) + chunk("zTXt", "key\0\0"s + stored("value")) +
                  chunk("iTXt", "key\0\1\0\0\0"s + stored("value")));
  for (std::size_t size = 0; size < valid.size(); size += 2)
    add("text cut to " + std::to_string(size) + " bytes", valid.substr(0, size));
  for (const std::size_t at : {41u, 45u, 49u}) {
    std::string spoiled = valid;
    spoiled[at] = static_cast<char>(spoiled[at] ^ 1);
    add("a wrong checksum by byte " + std::to_string(at), spoiled);
  }
  for (const auto* type : {"tEXt", "zTXt", "iTXt"}) {
    text(std::string(type) + " without data", type, "");
    text(std::string(type) + " without a keyword", type, "\0\0\0\0\0value"s);
    text(std::string(type) + " without an end of the keyword", type, "keyword");
    text(std::string(type) + " with a keyword of 80 bytes", type, std::string(80, 'k') + "\0\0\0\0\0"s);
  }
  text("zTXt without method", "zTXt", "key\0"s);
  text("zTXt of an unknown method", "zTXt", "key\0\1"s + stored("value"));
  text("zTXt without stream", "zTXt", "key\0\0"s);
  text("zTXt that is no stream", "zTXt", "key\0\0abcdefgh"s);
  text("zTXt with a bomb of 500 MB", "zTXt", "key\0\0"s + repeating(0, 2'000'000));
  text("iTXt without language", "iTXt", "key\0\0\0"s);
  text("iTXt without translation", "iTXt", "key\0\0\0\0"s);
  text("iTXt of an unknown method", "iTXt", "key\0\1\1\0\0"s + stored("value"));
  text("iTXt that is no stream", "iTXt", "key\0\1\0\0\0abc"s);
  text("iTXt that is not UTF-8", "iTXt", "key\0\0\0\0\0\xFF\xFE"s);
  text("iTXt of a surrogate", "iTXt", "key\0\0\0\0\0\xED\xA0\x80"s);
  text("17 MB of text", "tEXt", "key\0"s + repeated("x", 17 << 20));
  std::string many;
  for (int i = 0; i < 20; ++i) many += chunk("zTXt", "key\0\0"s + repeating(0, 4000));
  add("twenty texts of a megabyte", png({}, many));
  return files;
}

}  // namespace daguerre::test
