#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace daguerre::test {

/// Four bytes, the highest first.
inline std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
  return text;
}

/// CRC-32 bit by bit, as ISO 3309 defines it.
inline std::uint32_t crc32(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

/// A whole chunk of a PNG file: length, type, data, CRC.
inline std::string chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<std::uint32_t>(data.size())) + type + data + big_endian(crc32(type + data));
}

/// A zlib stream of one stored block.
inline std::string stored(const std::string& text) {
  const auto low = static_cast<char>(text.size() & 0xFF), high = static_cast<char>(text.size() >> 8);
  return std::string("\x78\x01\x01") + low + high + static_cast<char>(~low) + static_cast<char>(~high) +
         text + std::string(4, '\0');
}

/// A zlib stream of a byte below 144 and `matches` times 258 more of it, 13 bits each (fixed codes of RFC
/// 1951, 3.2.6).
inline std::string repeating(unsigned char byte, int matches, bool has_end = true) {
  std::string stream = "\x78\x01";
  unsigned bits = 0, count = 0;
  const auto put = [&](unsigned value, unsigned width) {
    bits |= value << count;
    for (count += width; count >= 8; count -= 8, bits >>= 8) stream += static_cast<char>(bits & 0xFF);
  };
  const auto put_code = [&](unsigned code, unsigned width) {
    for (unsigned i = width; i-- > 0;) put(code >> i & 1, 1);
  };
  put(3, 3);  // the last block, with fixed codes
  put_code(0x30u + byte, 8);
  for (int i = 0; i < matches; ++i) {
    put_code(0xC5, 8);  // length 258
    put_code(0, 5);     // distance 1
  }
  if (has_end) put_code(0, 7 + 7);  // end, padding
  return stream + std::string(4, '\0');
}

}  // namespace daguerre::test
