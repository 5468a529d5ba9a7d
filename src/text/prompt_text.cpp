#include "text/prompt_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace daguerre::text {
namespace {

/// The zeros of Unicode's decimal digits; each is followed by 1 to 9.
constexpr std::array<char32_t, 66> zeros{
    0x30,    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,   0xc66,
    0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,  0x1810,  0x1946,
    0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,  0xa8d0,  0xa900,  0xa9d0,
    0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60,
    0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0};

bool is_separator(char32_t code) {
  return code >= 0x1c && code <= 0x1f;
}

/// The value of digits in ASCII, with a point and an exponent where there are; nullopt for anything else.
std::optional<double> value_of(std::string_view digits) {
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const auto lowered = [&] {
    std::string text(digits);
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
  }();
  double value = 0.0;
  if (lowered == "inf" || lowered == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (lowered == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (lowered.empty() || !(lowered[0] == '.' || (lowered[0] >= '0' && lowered[0] <= '9'))) return {};
    const auto end = lowered.data() + lowered.size();
    const auto [stopped, error] = std::from_chars(lowered.data(), end, value);
    if (error == std::errc::invalid_argument || stopped != end) return {};
    if (error == std::errc::result_out_of_range) {
      // Too large or too small: the exponent tells, and where there is none, a number before the point.
      const auto exponent = lowered.find('e');
      const bool small = exponent != lowered.npos ? lowered.find('-', exponent) != lowered.npos
                                                  : lowered.find_first_of("123456789") > lowered.find('.');
      value = small ? 0.0 : std::numeric_limits<double>::infinity();
    }
  }
  return negative ? -value : value;
}

}  // namespace

bool is_word(char32_t code) noexcept {
  return is_letter(code) || is_number(code) || code == U'_';
}

bool is_blank(char32_t code) noexcept {
  return is_space(code) || is_separator(code);
}

int digit_value(char32_t code) noexcept {
  const auto* next = std::upper_bound(zeros.begin(), zeros.end(), code);
  if (next == zeros.begin()) return -1;
  const auto value = code - *std::prev(next);
  return value < 10 ? static_cast<int>(value) : -1;
}

std::optional<double> python_float(std::string_view text) {
  const auto characters = decode_utf8(text);
  std::string digits;
  char32_t before = 0;
  const auto number = without_blank_begin(without_blank_end(characters));
  for (std::size_t i = 0; i < number.size(); ++i) {
    const char32_t code = number[i].code;
    if (code == U'_') {
      if (digit_value(before) < 0 || i + 1 == number.size() || digit_value(number[i + 1].code) < 0) return {};
    } else if (const int value = digit_value(code); value >= 0) {
      digits.push_back(static_cast<char>('0' + value));
    } else if (code < 0x80) {
      digits.push_back(static_cast<char>(code));
    } else {
      return {};
    }
    before = code;
  }
  return value_of(digits);
}

bool is_plain_number(std::span<const Char> text) noexcept {
  if (!text.empty() && (text[0].code == U'+' || text[0].code == U'-')) text = text.subspan(1);
  std::size_t before = 0, behind = 0, points = 0;
  for (const auto& c : text) {
    if (c.code == U'.')
      ++points;
    else if (digit_value(c.code) < 0)
      return false;
    else
      ++(points == 0 ? before : behind);
  }
  return points <= 1 && before + behind > 0;
}

std::span<const Char> without_blank_end(std::span<const Char> text) noexcept {
  while (!text.empty() && is_blank(text.back().code)) text = text.first(text.size() - 1);
  return text;
}

std::span<const Char> without_blank_begin(std::span<const Char> text) noexcept {
  while (!text.empty() && is_blank(text.front().code)) text = text.subspan(1);
  return text;
}

std::vector<std::size_t> places_of_word(std::span<const Char> text, std::string_view word) {
  std::vector<std::size_t> places;
  const auto matches = [](const Char& c, char letter) { return c.code == static_cast<char32_t>(letter); };
  const auto in_word = [&](std::size_t place) { return place < text.size() && is_word(text[place].code); };
  for (std::size_t i = 0; i + word.size() <= text.size();) {
    const bool found = std::equal(word.begin(), word.end(), text.begin() + static_cast<std::ptrdiff_t>(i),
                                  [&](char letter, const Char& c) { return matches(c, letter); }) &&
                       !(i > 0 && in_word(i - 1)) && !in_word(i + word.size());
    if (found) places.push_back(i);
    i += found ? word.size() : 1;
  }
  return places;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 60;
  if (text.size() <= most) return "\"" + std::string(text) + "\"";
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return "\"" + std::string(text.substr(0, end)) + "...\"";
}

}  // namespace daguerre::text
