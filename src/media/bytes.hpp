#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// What the readers of picture files share.
namespace daguerre {

inline constexpr std::string_view png_signature = "\x89PNG\r\n\x1A\n";

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The number in the first four bytes, the highest first.
inline std::uint32_t big_endian(std::string_view four) {
  std::uint32_t value = 0;
  for (const char byte : four.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

}  // namespace daguerre
