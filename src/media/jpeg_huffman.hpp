#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace daguerre {

/// The bits of a JPEG file's entropy-coded data (ITU-T T.81, F.2.2.5) from a place on to the next marker;
/// behind that, zeros.
class JpegBits {
 public:
  explicit JpegBits(std::span<const std::byte> file, std::size_t at) : file_(file), at_(at) {}

  /// The next 16 bits, which stay.
  unsigned peek_16() {
    if (count_ < 16) fill();
    return static_cast<unsigned>(bits_ >> (count_ - 16)) & 0xFFFFu;
  }
  void skip(unsigned count) { count_ -= count; }
  /// The next `count` bits, at most 16.
  unsigned take(unsigned count) {
    const unsigned value = peek_16() >> (16 - count);
    skip(count);
    return value;
  }
  /// A number of `size` bits, at most 16, as T.81's EXTEND: without a leading one it is negative.
  int take_signed(unsigned size) {
    if (size == 0) return 0;
    const int value = static_cast<int>(take(size));
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  /// Whether more was taken than there is.
  bool is_exhausted() const { return padding_ > count_; }
  /// Where the next marker is that is not a restart, or the end of the file.
  std::size_t next_segment() const;
  /// Goes on behind the next marker if that is a restart; false if it is another.
  bool restart();

 private:
  void fill();
  std::size_t next_marker(std::size_t at) const;
  unsigned byte(std::size_t at) const { return at < file_.size() ? std::to_integer<unsigned>(file_[at]) : 0; }

  std::span<const std::byte> file_;
  std::size_t at_;
  std::uint64_t bits_ = 0;
  unsigned count_ = 0;    ///< of bits in bits_ that were not taken
  unsigned padding_ = 0;  ///< how many of them, at the end, are not the file's
};

/// A Huffman table (T.81, annex C).
class JpegHuffman {
 public:
  /// `lengths` says how many symbols have codes of 1 to 16 bits. False when no code is like that.
  bool define(std::span<const std::uint8_t, 16> lengths, std::span<const std::uint8_t> symbols);
  bool is_defined() const { return is_defined_; }

  /// The next symbol; -1 where the bits are no code.
  int decode(JpegBits& bits) const {
    const unsigned next = bits.peek_16();
    const Entry entry = short_codes_[next >> (16 - short_length)];
    if (entry.length == 0) return decode_long(bits, next);
    bits.skip(entry.length);
    return entry.symbol;
  }

 private:
  static constexpr unsigned short_length = 9;
  struct Entry {
    std::uint8_t length = 0, symbol = 0;
  };
  int decode_long(JpegBits& bits, unsigned next) const;

  bool is_defined_ = false;
  std::array<Entry, 1u << short_length> short_codes_{};
  std::array<std::uint32_t, 17> end_{};    ///< behind the last code of a length, in 16 bits
  std::array<std::int32_t, 17> symbol_{};  ///< number of a length's first symbol, less its first code
  std::array<std::uint8_t, 256> symbols_{};
};

}  // namespace daguerre
