#include "text/decoded_text.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "daguerre/text/unicode.hpp"

namespace daguerre::text {
namespace {

constexpr std::string_view replacement_text = "\xEF\xBF\xBD";

/// How many bytes at the end are the beginning of a character whose end is missing.
std::size_t incomplete_length(std::string_view bytes) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(3, bytes.size()); ++length) {
    const auto tail = bytes.substr(bytes.size() - length);
    const auto lead = static_cast<unsigned char>(tail[0]);
    if ((lead & 0xC0) == 0x80) continue;
    const std::size_t needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    // One malformed part means that what is there could still become a character.
    const bool may_go_on = lead < 0xF5 && needed > length && decode_utf8(tail).size() == 1;
    return may_go_on ? length : 0;
  }
  return 0;
}

std::string repeated_replacement(std::size_t count) {
  std::string result;
  while (count-- > 0) result += replacement_text;
  return result;
}

}  // namespace

std::string DecodedText::read(std::string_view bytes) const {
  if (reading_ == ByteReading::joined) return to_utf8(decode_utf8(bytes));
  if (reading_ == ByteReading::whole_runs)
    return find_invalid_utf8(bytes) == std::string_view::npos ? std::string(bytes)
                                                              : repeated_replacement(bytes.size());
  std::string result;
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence_length(bytes);
    result += length == 0 ? replacement_text : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

void DecodedText::settle(std::string_view text) {
  if (settled_.empty()) {
    while (strip_ > 0 && text.starts_with(' ')) {
      text.remove_prefix(1);
      --strip_;
    }
    if (!text.empty()) strip_ = 0;
  }
  settled_ += text;
}

/// Settles what bytes cannot change any more.
void DecodedText::settle_bytes() {
  if (reading_ == ByteReading::whole_runs) return;
  const std::size_t done = bytes_.size() - incomplete_length(bytes_);
  settle(read(std::string_view(bytes_).substr(0, done)));
  bytes_.erase(0, done);
}

void DecodedText::add_text(std::string_view text) {
  if (reading_ == ByteReading::joined) {
    bytes_ += text;
    settle_bytes();
    return;
  }
  settle(read(bytes_));
  bytes_.clear();
  settle(text);
}

void DecodedText::add_byte(char byte) {
  bytes_ += byte;
  settle_bytes();
}

std::string DecodedText::unsettled() const {
  std::string text = read(bytes_);
  if (settled_.empty()) {
    const std::size_t spaces = std::min(text.find_first_not_of(' '), text.size());
    text.erase(0, std::min(strip_, spaces));
  }
  return text;
}

}  // namespace daguerre::text
