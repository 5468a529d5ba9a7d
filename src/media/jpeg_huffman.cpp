#include "media/jpeg_huffman.hpp"

#include <algorithm>

namespace daguerre {

void JpegBits::fill() {
  while (count_ <= 48) {
    bits_ <<= 8;
    count_ += 8;
    const bool has_byte =
        at_ < file_.size() && (byte(at_) != 0xFF || (byte(at_ + 1) == 0 && at_ + 1 < file_.size()));
    if (!has_byte) {
      padding_ += 8;
      continue;
    }
    bits_ |= byte(at_);
    at_ += byte(at_) == 0xFF ? 2 : 1;  // a zero is stuffed behind
  }
  padding_ = std::min(padding_, 1u << 16);  // no need to count on
}

std::size_t JpegBits::next_marker(std::size_t at) const {
  for (; at + 1 < file_.size(); ++at)
    if (byte(at) == 0xFF && byte(at + 1) != 0 && byte(at + 1) != 0xFF) return at;
  return file_.size();
}

std::size_t JpegBits::next_segment() const {
  std::size_t at = next_marker(at_);
  while (byte(at + 1) >= 0xD0 && byte(at + 1) <= 0xD7) at = next_marker(at + 2);
  return at;
}

bool JpegBits::restart() {
  const std::size_t marker = next_marker(at_);
  if (byte(marker + 1) < 0xD0 || byte(marker + 1) > 0xD7) return false;
  at_ = marker + 2;
  bits_ = 0;
  count_ = padding_ = 0;
  return true;
}

bool JpegHuffman::define(std::span<const std::uint8_t, 16> lengths, std::span<const std::uint8_t> symbols) {
  *this = {};
  std::ranges::copy(symbols.first(std::min<std::size_t>(symbols.size(), 256)), symbols_.begin());
  std::uint32_t code = 0;
  std::int32_t number = 0;
  for (unsigned length = 1; length <= 16; ++length) {
    const std::uint32_t count = lengths[length - 1];
    symbol_[length] = number - static_cast<std::int32_t>(code);
    if (code + count > 1u << length || number + static_cast<std::int32_t>(count) > 256) return false;
    for (std::uint32_t i = 0; i < count; ++i, ++code, ++number) {
      if (length > short_length) continue;
      const std::uint32_t first = code << (short_length - length), as_many = 1u << (short_length - length);
      std::fill_n(short_codes_.begin() + first, as_many,
                  Entry{static_cast<std::uint8_t>(length), symbols_[static_cast<std::size_t>(number)]});
    }
    end_[length] = code << (16 - length);
    code <<= 1;
  }
  is_defined_ = true;
  return true;
}

int JpegHuffman::decode_long(JpegBits& bits, unsigned next) const {
  for (unsigned length = short_length + 1; length <= 16; ++length) {
    if (next >= end_[length]) continue;
    bits.skip(length);
    return symbols_[static_cast<std::size_t>(symbol_[length] +
                                             static_cast<std::int32_t>(next >> (16 - length)))];
  }
  return -1;
}

}  // namespace daguerre
