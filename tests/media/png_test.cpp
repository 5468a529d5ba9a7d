#include <cstring>

#include "daguerre/media/image.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/png_chunks.hpp"

using namespace daguerre;
using daguerre::test::big_endian;
using daguerre::test::chunk;
using daguerre::test::crc32;
using daguerre::test::expect_error;
using daguerre::test::repeating;
using daguerre::test::stored;

namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& bytes, std::string_view text) {
  const auto more = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), more.begin(), more.end());
}

Bytes png_with(const std::string& chunks) {
  Bytes file;
  append(file, "\x89PNG\r\n\x1A\n");
  append(file, chunk("IHDR", std::string("\0\0\0\1\0\0\0\1\10\0\0\0\0", 13)));
  append(file, chunks);
  append(file, chunk("IEND", ""));
  return file;
}

bool holds(const Bytes& file, std::string_view type) {
  return std::string_view(reinterpret_cast<const char*>(file.data()), file.size()).find(type) !=
         std::string_view::npos;
}

}  // namespace

TEST_CASE("PNG text is written in the narrowest chunk and read back", "[image][png]") {
  const Image image(2, 2, 3);
  const PngText latin{
      {"parameters", "caf\u00e9, na\u00efve\nsecond line"}, {"Comment", ""}, {"Comment", "twice"}};
  const auto latin_file = image.encode_png(latin);
  CHECK(decode_png_text(latin_file) == latin);
  CHECK_FALSE(holds(latin_file, "iTXt"));
  const PngText wide{{"parameters", "\u706f\u53f0 \U0001F5FC at dawn"}, {"\u00dcber", "plain"}};
  const auto wide_file = image.encode_png(wide);
  CHECK(decode_png_text(wide_file) == wide);
  CHECK(holds(wide_file, "iTXt"));
  CHECK(decode_png_text(image.encode_png()).empty());

  const std::string broken("a\xC3(b\0c\xED\xA0\x80", 9);
  CHECK(decode_png_text(image.encode_png({{"key", broken}}))[0].second ==
        "a\uFFFD(b\uFFFDc\uFFFD\uFFFD\uFFFD");

  for (const std::string keyword : {"", " x", "x ", "a  b", "a\nb", "\u706f", "\xC3"})
    expect_error<ArgumentError>([&] { (void)image.encode_png({{keyword, "x"}}); }, {"keyword"});
  CHECK_NOTHROW(image.encode_png({{std::string(79, 'k'), "x"}}));
  expect_error<ArgumentError>([&] { (void)image.encode_png({{std::string(80, 'k'), "x"}}); }, {"79"});
}

TEST_CASE("checksums of the written text chunks are right", "[image][png]") {
  const std::string expected = chunk("tEXt", std::string("parameters\0a cat", 16));
  CHECK(holds(Image(1, 1, 1).encode_png({{"parameters", "a cat"}}), expected));
  CHECK(crc32("123456789") == 0xCBF43926u);  // the check value of the standard
}

TEST_CASE("all three kinds of PNG text are read", "[image][png]") {
  const std::string zero(1, '\0');
  const auto file =
      png_with(chunk("tEXt", "a" + zero + "caf\xE9") + chunk("zTXt", "b" + zero + zero + stored("deflated")) +
               chunk("iTXt", "c" + zero + zero + zero + "en" + zero + "t" + zero + "\u706f") +
               chunk("iTXt", "d" + zero + "\1" + zero + zero + zero + stored("\u53f0")));
  CHECK(decode_png_text(file) ==
        PngText{{"a", "caf\u00e9"}, {"b", "deflated"}, {"c", "\u706f"}, {"d", "\u53f0"}});
  const auto large = decode_png_text(png_with(chunk("zTXt", "z" + zero + zero + repeating('a', 1000))));
  CHECK(large[0].second == std::string(258001, 'a'));
}

TEST_CASE("malformed PNG text is an error that names the file", "[image][png]") {
  const std::string zero(1, '\0');
  const auto refuses = [](const Bytes& file, std::string_view part) {
    expect_error<FormatError>([&] { (void)decode_png_text(file, "x.png"); }, {"[image] x.png: ", part});
  };
  refuses({}, "not a PNG");
  refuses(png_with(chunk("tEXt", "no end")), "too short");
  refuses(png_with(chunk("tEXt", zero + "text")), "keyword of 0");
  refuses(png_with(chunk("tEXt", std::string(80, 'k') + zero)), "keyword of 80");
  refuses(png_with(chunk("zTXt", "k" + zero)), "too short");
  refuses(png_with(chunk("zTXt", "k" + zero + "\1" + stored("x"))), "unknown method");
  refuses(png_with(chunk("zTXt", "k" + zero + zero + "rubbish")), "malformed");
  refuses(png_with(chunk("zTXt", "k" + zero + zero)), "malformed");
  refuses(png_with(chunk("iTXt", "k" + zero + zero + zero + zero)), "too short");
  refuses(png_with(chunk("iTXt", "k" + zero + zero + zero + zero + zero + "\xFF")), "UTF-8");
  refuses(png_with(chunk("zTXt", "k" + zero + zero + repeating('a', 66000))), "16 MB");
  const std::string half = chunk("zTXt", "k" + zero + zero + repeating('a', 40000));
  CHECK_NOTHROW(decode_png_text(png_with(half)));
  refuses(png_with(half + half), "16 MB");

  auto wrong = png_with(chunk("tEXt", "k" + zero + "text"));
  wrong[8 + 25 + 8 + 3] ^= std::byte{1};
  refuses(wrong, "checksum");
  auto huge = png_with(chunk("tEXt", "k" + zero + "text"));
  huge[8 + 25] = std::byte{0xFF};
  refuses(huge, "bytes, the file only");
  const auto whole = png_with(chunk("tEXt", "k" + zero + "text"));
  for (std::size_t size = 0; size < whole.size(); ++size)
    refuses(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), "");
}
