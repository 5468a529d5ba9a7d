#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace daguerre {

/// Unsigned numbers of a TIFF structure; nothing where it ends too soon.
class TiffReader {
 public:
  TiffReader(std::string_view data, bool big_endian) : data_(data), big_endian_(big_endian) {}

  std::optional<std::uint64_t> number(std::uint64_t at, std::size_t bytes) const {
    if (at > data_.size() || bytes > data_.size() - at) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t from = at + (big_endian_ ? i : bytes - 1 - i);
      value = value << 8 | static_cast<unsigned char>(data_[from]);
    }
    return value;
  }

  /// The first value of the directory entry at `at`, where its type is an integer.
  std::optional<std::uint64_t> entry_value(std::uint64_t at) const {
    const std::uint64_t count = number(at + 4, 4).value_or(0);
    const std::size_t size = size_of_integer(number(at + 2, 2).value_or(0));
    if (size == 0 || count == 0) return std::nullopt;
    if (count * size <= 4) return number(at + 8, size);
    const std::uint64_t elsewhere = number(at + 8, 4).value_or(0);
    return number(elsewhere + (count - 1) * size, size) ? number(elsewhere, size) : std::nullopt;
  }

 private:
  /// Of SHORT, LONG, SBYTE, SSHORT and SLONG; bytes without a sign are data to Pillow.
  static std::size_t size_of_integer(std::uint64_t type) {
    return type == 6 ? 1 : type == 3 || type == 8 ? 2 : type == 4 || type == 9 ? 4 : 0;
  }

  std::string_view data_;
  bool big_endian_;
};

}  // namespace daguerre
