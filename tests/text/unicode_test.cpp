#include "daguerre/text/unicode.hpp"

#include <algorithm>
#include <random>

#include "support/catch.hpp"

using namespace daguerre::text;

namespace {

using Codes = std::vector<char32_t>;
struct Pair {
  Codes from, to;
};

Chars chars(const Codes& codes) {
  Chars out;
  for (const char32_t code : codes) out.push_back({code, static_cast<std::uint32_t>(out.size())});
  return out;
}

Codes codes(const Chars& text) {
  Codes out;
  for (const Char& c : text) out.push_back(c.code);
  return out;
}

std::vector<std::uint32_t> printable(const Codes& text) {
  return {text.begin(), text.end()};
}

}  // namespace

// What Python 3.11 says to each of these (str.lower, unicodedata.normalize, unicodedata.category).
TEST_CASE("lower case equals Python's", "[text][unicode]") {
  const std::vector<Pair> pairs{
      {{0x41, 0x42, 0x43}, {0x61, 0x62, 0x63}},
      {{0x130}, {0x69, 0x307}},
      {{0x49, 0x307}, {0x69, 0x307}},
      {{0x1e9e}, {0xdf}},
      {{0x1c5}, {0x1c6}},
      {{0x2c2f}, {0x2c5f}},
      {{0x10a0}, {0x2d00}},
      {{0x13a0}, {0xab70}},
      {{0xab70}, {0xab70}},
      {{0x10400}, {0x10428}},
      {{0x1e900}, {0x1e922}},
      {{0x212a}, {0x6b}},
      {{0x212b}, {0xe5}},
      {{0x3f4}, {0x3b8}},
      {{0xff21}, {0xff41}},
      {{0x2160}, {0x2170}},
      {{0x24b6}, {0x24d0}},
      {{0x10570}, {0x10597}},
      {{0xa7c5}, {0x282}},
      {{0xdf}, {0xdf}},
      {{0x345}, {0x345}},
      {{0x17f}, {0x17f}},
      {{0x178}, {0xff}},
      {{0x100, 0x101, 0x139, 0x13a}, {0x101, 0x101, 0x13a, 0x13a}},
  };
  for (const auto& [from, to] : pairs) {
    INFO("first code point " << static_cast<std::uint32_t>(from[0]));
    CHECK(printable(codes(lower(chars(from), FinalSigma::follow))) == printable(to));
    CHECK(printable(codes(lower(chars(from), FinalSigma::ignore))) == printable(to));
  }
}

TEST_CASE("a sigma at the end of a word becomes final where asked", "[text][unicode]") {
  const std::vector<Pair> pairs{
      {{0x39f, 0x394, 0x3a5, 0x3a3, 0x3a3, 0x395, 0x3a5, 0x3a3},
       {0x3bf, 0x3b4, 0x3c5, 0x3c3, 0x3c3, 0x3b5, 0x3c5, 0x3c2}},
      {{0x3a3}, {0x3c3}},
      {{0x61, 0x3a3}, {0x61, 0x3c2}},
      {{0x61, 0x3a3, 0x62}, {0x61, 0x3c3, 0x62}},
      {{0x61, 0x2e, 0x3a3}, {0x61, 0x2e, 0x3c2}},
      {{0x61, 0x3a3, 0x2e, 0x62}, {0x61, 0x3c3, 0x2e, 0x62}},
      {{0x61, 0x3a3, 0x301}, {0x61, 0x3c2, 0x301}},
      {{0x61, 0xad, 0x3a3, 0x27, 0x3b1}, {0x61, 0xad, 0x3c3, 0x27, 0x3b1}},
      {{0x31, 0x3a3}, {0x31, 0x3c3}},
      {{0x2b0, 0x3a3}, {0x2b0, 0x3c3}},
      {{0x61, 0x2b0, 0x3a3}, {0x61, 0x2b0, 0x3c2}},
      {{0x3a3, 0x20, 0x3a3, 0x3b1, 0x3a3, 0x20}, {0x3c3, 0x20, 0x3c3, 0x3b1, 0x3c2, 0x20}},
  };
  for (const auto& [from, to] : pairs) {
    CHECK(printable(codes(lower(chars(from), FinalSigma::follow))) == printable(to));
    Codes plain = to;
    std::replace(plain.begin(), plain.end(), char32_t{0x3C2}, char32_t{0x3C3});
    CHECK(printable(codes(lower(chars(from), FinalSigma::ignore))) == printable(plain));
  }
}

TEST_CASE("normal form C equals Python's", "[text][unicode]") {
  const std::vector<Pair> pairs{
      {{0x65, 0x301}, {0xe9}},
      {{0x301, 0x65}, {0x301, 0x65}},
      {{0x61, 0x300, 0x301, 0x302}, {0xe0, 0x301, 0x302}},
      {{0x61, 0x323, 0x307}, {0x1ea1, 0x307}},
      {{0x61, 0x307, 0x323}, {0x1ea1, 0x307}},
      {{0x212b}, {0xc5}},
      {{0x2126}, {0x3a9}},
      {{0x344}, {0x308, 0x301}},
      {{0x958}, {0x915, 0x93c}},
      {{0x1100, 0x1161, 0x11a8}, {0xac01}},
      {{0xac00, 0x11a8}, {0xac01}},
      {{0xac01, 0x11a8}, {0xac01, 0x11a8}},
      {{0x1100, 0x1161, 0x11a7}, {0xac00, 0x11a7}},
      {{0x1112, 0x1175, 0x11c2}, {0xd7a3}},
      {{0xb47, 0xb57}, {0xb4c}},
      {{0xf73}, {0xf71, 0xf72}},
      {{0xfb1d}, {0x5d9, 0x5b4}},
      {{0x2f800}, {0x4e3d}},
      {{0x1d15e}, {0x1d157, 0x1d165}},
      {{0x11099, 0x110ba}, {0x1109a}},
      {{0x71, 0x307, 0x323}, {0x71, 0x323, 0x307}},
      {{0x1e9b, 0x323}, {0x1e9b, 0x323}},
      {{0x915, 0x93c}, {0x915, 0x93c}},
      {{0x2add}, {0x2add}},
      {{0xcc6, 0xcc2, 0xcd5}, {0xccb}},
      {{0x3e, 0x338}, {0x226f}},
      {{0x3b1, 0x345, 0x301}, {0x1fb4}},
      {{0x61, 0x315, 0x300, 0x5ae, 0x62}, {0xe0, 0x5ae, 0x315, 0x62}},
      {{0x61, 0x200d, 0x301}, {0x61, 0x200d, 0x301}},
      {{0xe9, 0xc5}, {0xe9, 0xc5}},
  };
  for (const auto& [from, to] : pairs) {
    INFO("first code point " << static_cast<std::uint32_t>(from[0]));
    CHECK(printable(codes(nfc(chars(from)))) == printable(to));
  }
}

TEST_CASE("normal form C is stable, whatever the text", "[text][unicode]") {
  const auto seed = GENERATE(std::random_device{}(), 1u, 2u);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  // Blocks where characters combine: Latin, marks, Hebrew to Arabic, India, jamo, syllables, everything.
  const std::vector<std::pair<char32_t, char32_t>> blocks{
      {0x41, 0x24F},    {0x300, 0x36F},   {0x590, 0x6FF},     {0x900, 0xDFF},     {0x1100, 0x11FF},
      {0xAC00, 0xD7A3}, {0x1E00, 0x1FFF}, {0x11000, 0x119FF}, {0x1D100, 0x1D1FF}, {0xE000, 0x10FFFF}};
  for (int round = 0; round < 500; ++round) {
    Codes text;
    for (auto left = random() % 20; left > 0; --left) {
      const auto& [first, last] = blocks[random() % blocks.size()];
      text.push_back(first + random() % (last - first + 1));
    }
    const auto once = nfc(chars(text));
    CHECK(printable(codes(nfc(once))) == printable(codes(once)));
    // Composing a part first cannot change the whole.
    const auto half = static_cast<std::ptrdiff_t>(text.size() / 2);
    Codes parts = codes(nfc(chars({text.begin(), text.begin() + half})));
    parts.insert(parts.end(), text.begin() + half, text.end());
    CHECK(printable(codes(nfc(chars(parts)))) == printable(codes(once)));
  }
}

TEST_CASE("categories equal Python's", "[text][unicode]") {
  const Codes letters{0x41, 0x7a, 0xaa, 0x2b0, 0x904, 0xe01, 0x4e00, 0x9fff, 0xac00, 0x20000, 0xdf};
  const Codes numbers{0xb2, 0xbd, 0x660, 0x6f0, 0x2160, 0x2460, 0x3007, 0x1d7ce};
  const Codes neither{0x300, 0x345, 0x200b, 0xfeff, 0xfffd, 0x1f600, 0x180e,
                      0x85,  0x1c,  0x2f00, 0x5f,   0x2b,   0x27,    0x301};
  const Codes spaces{0x9,    0xa,    0xb,    0xc,    0xd,    0x20,   0x85,   0xa0,
                     0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
  const Codes not_spaces{0x1C, 0x1F, 0x200B, 0x180E, 0xFEFF, 0x41};
  for (const auto code : letters) CHECK((is_letter(code) && !is_number(code)));
  for (const auto code : numbers) CHECK((!is_letter(code) && is_number(code)));
  for (const auto code : neither) CHECK_FALSE((is_letter(code) || is_number(code)));
  for (const auto code : spaces) CHECK(is_space(code));
  for (const auto code : not_spaces) CHECK_FALSE(is_space(code));
}

TEST_CASE("UTF-8 is decoded with offsets, and what is malformed replaced", "[text][unicode]") {
  const auto text = decode_utf8("a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80z");
  CHECK(text == Chars{{U'a', 0}, {0xE9, 1}, {0x4F60, 3}, {0x1F600, 6}, {U'z', 10}});
  CHECK(to_utf8(text) == "a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80z");

  struct Malformed {
    std::string bytes;
    Codes expected;  // Python's bytes.decode("utf-8", "replace")
  };
  const std::vector<Malformed> all{
      {"\x80"
       "a",
       {0xfffd, 0x61}},
      {"\xFF", {0xfffd}},
      {"\xC3", {0xfffd}},
      {"\xC3"
       "a",
       {0xfffd, 0x61}},
      {"\xC0\xAF", {0xfffd, 0xfffd}},
      {"\xE4\xBD", {0xfffd}},
      {"\xE4\xBDz", {0xfffd, 0x7a}},
      {"\xED\xA0\x80", {0xfffd, 0xfffd, 0xfffd}},
      {"\xF0\x9F\x98", {0xfffd}},
      {"\xF0\x9F\x98\xF0", {0xfffd, 0xfffd}},
      {"\xF4\x90\x80\x80", {0xfffd, 0xfffd, 0xfffd, 0xfffd}},
      {"\xF5\x80", {0xfffd, 0xfffd}},
      {"\xE0\x80\x80", {0xfffd, 0xfffd, 0xfffd}},
      {"\xF0\x80\x80\x80", {0xfffd, 0xfffd, 0xfffd, 0xfffd}},
      {"\xE4\xBD\xC3\xA9", {0xfffd, 0xe9}},
      {"\xF1\x80\x80", {0xfffd}},
  };
  for (const auto& [bytes, expected] : all)
    CHECK(printable(codes(decode_utf8(bytes))) == printable(expected));
}
