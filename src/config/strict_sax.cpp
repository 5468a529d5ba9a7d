#include "config/strict_sax.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <system_error>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

constexpr std::size_t progress_bytes = std::size_t{1} << 20;
constexpr std::size_t max_key_bytes = std::size_t{1} << 20;

/// -1 for anything that is no hexadecimal digit.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Four digits that are known to be hexadecimal.
unsigned hex4(std::string_view digits) {
  unsigned code = 0;
  for (const char c : digits.substr(0, 4)) code = code << 4 | static_cast<unsigned>(hex_digit(c));
  return code;
}

bool is_high_surrogate(unsigned code) {
  return code >= 0xD800 && code < 0xDC00;
}
bool is_low_surrogate(unsigned code) {
  return code >= 0xDC00 && code < 0xE000;
}

/// Whether a number that no double can hold is too near to zero, and not too large: the power of ten of its
/// first digit that is not 0.
bool is_tiny(std::string_view number) {
  if (number.starts_with('-')) number.remove_prefix(1);
  const std::size_t mark = std::min(number.find_first_of("eE"), number.size());
  const std::string_view digits = number.substr(0, mark);
  std::string_view exponent = number.substr(std::min(mark + 1, number.size()));
  if (exponent.starts_with('+')) exponent.remove_prefix(1);
  // An exponent beyond 64 bits outweighs all digits that fit into memory.
  std::int64_t power = 0;
  if (!exponent.empty() && std::from_chars(exponent.data(), exponent.data() + exponent.size(), power).ec ==
                               std::errc::result_out_of_range)
    return exponent.starts_with('-');
  const auto first = static_cast<std::int64_t>(std::min(digits.find_first_of("123456789"), digits.size()));
  const auto point = static_cast<std::int64_t>(std::min(digits.find('.'), digits.size()));
  return power + point - first < 0;
}

}  // namespace

std::string JsonString::decoded() const {
  if (!escaped) return std::string(raw);
  std::string text;
  text.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size();) {
    const std::size_t plain = std::min(raw.find('\\', i), raw.size());
    text.append(raw, i, plain - i);
    i = plain;
    if (i == raw.size()) break;
    const char kind = raw[i + 1];
    i += 2;
    if (kind != 'u') {
      constexpr std::string_view from = "bfnrt", to = "\b\f\n\r\t";
      const auto at = from.find(kind);
      text += at == from.npos ? kind : to[at];
      continue;
    }
    unsigned code = hex4(raw.substr(i));
    i += 4;
    if (is_high_surrogate(code)) {
      code = 0x10000 + ((code - 0xD800) << 10) + (hex4(raw.substr(i + 2)) - 0xDC00);
      i += 6;
    }
    append_code_point(text, code);
  }
  return text;
}

bool StrictSax::KeySet::insert(std::string_view key) {
  constexpr std::size_t few = 12;
  if (slots_.empty()) {
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) return false;
    keys_.push_back(key);
    if (keys_.size() > few) grow();
    return true;
  }
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(key) & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask)
    if (keys_[slots_[slot] - 1] == key) return false;
  keys_.push_back(key);
  slots_[slot] = static_cast<std::uint32_t>(keys_.size());
  if (keys_.size() * 2 > slots_.size()) grow();
  return true;
}

void StrictSax::KeySet::grow() {
  slots_.assign(std::max<std::size_t>(64, slots_.size() * 4), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    std::size_t slot = std::hash<std::string_view>()(keys_[i]) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

void StrictSax::parse(std::string_view text) {
  // Keys are counted in 32 bits; texts of that size are far above any reader's limit.
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) fail_at(0, "more than 4 GiB of JSON");
  text_ = text;
  position_ = reported_ = depth_ = 0;
  keys_.clear();
  decoded_keys_.clear();
  skip_blanks();
  read_value();
  skip_blanks();
  if (!ended()) not_json("something follows the end of the document");
}

void StrictSax::report_progress() {
  reported_ = position_;
  on_progress(position_);
}

void StrictSax::skip_blanks() {
  while (position_ < text_.size()) {
    const std::size_t end = std::min(text_.size(), position_ + progress_bytes);
    while (position_ < end && (text_[position_] == ' ' || text_[position_] == '\n' ||
                               text_[position_] == '\r' || text_[position_] == '\t'))
      ++position_;
    if (position_ - reported_ >= progress_bytes) report_progress();
    if (position_ < end) return;
  }
}

void StrictSax::enter() {
  ++position_;
  if (++depth_ > max_json_depth) fail("nested deeper than " + std::to_string(max_json_depth) + " levels");
}

void StrictSax::leave() {
  ++position_;
  --depth_;
  on_end();
}

void StrictSax::read_value() {
  switch (peek()) {
    case '{':
      return read_object();
    case '[':
      return read_array();
    case '"':
      return on_string(read_string());
    case 't':
      if (take("true")) return on_boolean(true);
      break;
    case 'f':
      if (take("false")) return on_boolean(false);
      break;
    case 'n':
      if (take("null")) return on_null();
      break;
    default:
      return read_number();
  }
  not_json("expected a value");
}

void StrictSax::read_object() {
  enter();
  if (keys_.size() < depth_) keys_.resize(depth_);
  keys_[depth_ - 1].clear();
  on_start_object();
  skip_blanks();
  if (peek() == '}') return leave();
  for (;;) {
    if (peek() != '"') not_json("expected a key in double quotes");
    const JsonString name = read_string();
    if (name.raw.size() > max_key_bytes)
      fail("a key of more than " + std::to_string(max_key_bytes) + " bytes");
    const std::string_view key = name.escaped ? decoded_keys_.emplace_back(name.decoded()) : name.raw;
    if (!keys_[depth_ - 1].insert(key)) fail("duplicate key " + in_quotes(key));
    on_key(name);
    skip_blanks();
    if (peek() != ':') not_json("expected a colon behind a key");
    ++position_;
    skip_blanks();
    read_value();
    skip_blanks();
    if (peek() == '}') return leave();
    if (peek() != ',') not_json("expected a comma or the end of an object");
    ++position_;
    skip_blanks();
  }
}

void StrictSax::read_array() {
  enter();
  on_start_array();
  skip_blanks();
  if (peek() == ']') return leave();
  for (;;) {
    read_value();
    skip_blanks();
    if (peek() == ']') return leave();
    if (peek() != ',') not_json("expected a comma or the end of a list");
    ++position_;
    skip_blanks();
  }
}

JsonString StrictSax::read_string() {
  const std::size_t begin = ++position_;
  JsonString result;
  while (!ended()) {
    if (position_ - reported_ >= progress_bytes) report_progress();
    const auto c = static_cast<unsigned char>(text_[position_]);
    if (c == '"') {
      result.raw = text_.substr(begin, position_++ - begin);
      return result;
    }
    if (c == '\\') {
      result.escaped = true;
      read_escape();
    } else if (c >= 0x80) {
      const auto length = utf8_sequence_length(text_.substr(position_, 4));
      if (length == 0) fail("the text is not valid UTF-8");
      position_ += length;
    } else if (c < 0x20) {
      not_json("a control character in a string");
    } else {
      ++position_;
    }
  }
  not_json("a string without an end");
}

void StrictSax::read_escape() {
  ++position_;
  const char kind = peek();
  if (std::string_view("\"\\/bfnrt").find(kind) != std::string_view::npos) {
    ++position_;
    return;
  }
  if (kind != 'u') not_json("an escape that JSON does not have");
  ++position_;
  const unsigned code = read_hex4();
  if (is_low_surrogate(code)) not_json("half of a surrogate pair");
  if (!is_high_surrogate(code)) return;
  if (!take("\\u") || !is_low_surrogate(read_hex4())) not_json("half of a surrogate pair");
}

unsigned StrictSax::read_hex4() {
  const auto digits = text_.substr(position_, 4);
  if (digits.size() < 4 || std::any_of(digits.begin(), digits.end(), [](char c) { return hex_digit(c) < 0; }))
    not_json("\\u needs four hexadecimal digits");
  position_ += 4;
  return hex4(digits);
}

bool StrictSax::take(std::string_view literal) {
  if (text_.substr(position_, literal.size()) != literal) return false;
  position_ += literal.size();
  return true;
}

std::size_t StrictSax::take_digits() {
  const std::size_t begin = position_;
  while (peek() >= '0' && peek() <= '9') {
    ++position_;
    if (position_ - reported_ >= progress_bytes) report_progress();
  }
  return position_ - begin;
}

void StrictSax::read_number() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const std::size_t begin = position_;
  if (python_constants_) {
    if (take("NaN")) return on_fraction(std::numeric_limits<double>::quiet_NaN(), "NaN");
    if (take("Infinity")) return on_fraction(infinity, "Infinity");
    if (take("-Infinity")) return on_fraction(-infinity, "-Infinity");
  }
  const bool negative = take("-");
  const bool leading_zero = peek() == '0';
  const std::size_t digits = take_digits();
  if (digits == 0) not_json(position_ == begin ? "expected a value" : "a number without digits");
  if (leading_zero && digits > 1) not_json("a number that begins with 0");
  bool whole = true;
  if (take(".")) {
    whole = false;
    if (take_digits() == 0) not_json("a number without digits behind its point");
  }
  if (peek() == 'e' || peek() == 'E') {
    whole = false;
    ++position_;
    if (peek() == '+' || peek() == '-') ++position_;
    if (take_digits() == 0) not_json("a number without digits in its exponent");
  }
  const std::string_view number = text_.substr(begin, position_ - begin);
  const char* const end = number.data() + number.size();
  if (whole && negative) {
    std::int64_t value = 0;
    if (std::from_chars(number.data(), end, value).ec == std::errc()) return on_integer(value);
  } else if (whole) {
    std::uint64_t value = 0;
    if (std::from_chars(number.data(), end, value).ec == std::errc()) return on_unsigned(value);
  }
  double value = 0.0;
  if (std::from_chars(number.data(), end, value).ec == std::errc::result_out_of_range) {
    if (!is_tiny(number)) {
      position_ = begin;
      not_json("a number that is too large");
    }
    value = negative ? -0.0 : 0.0;
  }
  on_fraction(value, number);
}

void StrictSax::not_json(std::string_view problem) const {
  std::string text = "not valid JSON: ";
  if (ended())
    text += "the text ends too early, ";
  else if (peek() == '\0')
    text += "a NUL byte, ";
  fail_at(position_, text.append(problem));
}

void StrictSax::fail_at(std::size_t offset, std::string_view problem) const {
  throw FormatError(who_,
                    std::string(source_) + ": byte " + std::to_string(offset) + ": " + std::string(problem));
}

}  // namespace daguerre
