#include "support/sentencepiece_file.hpp"

#include <bit>
#include <cstdint>

namespace daguerre::test {
namespace {

std::string varint(std::uint64_t value) {
  std::string result;
  for (; value >= 0x80; value >>= 7) result += static_cast<char>(value | 0x80);
  return result + static_cast<char>(value);
}

std::string number_field(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}

std::string bytes_field(int field, std::string_view value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + std::string(value);
}

std::string float_field(int field, float value) {
  auto result = varint(static_cast<std::uint64_t>(field) << 3 | 5);
  for (int shift = 0; shift < 32; shift += 8)
    result += static_cast<char>(std::bit_cast<std::uint32_t>(value) >> shift & 0xFF);
  return result;
}

}  // namespace

void SentencePieceFile::add(std::string_view piece, float score, Type type) {
  pieces_ += bytes_field(
      1, bytes_field(1, piece) + float_field(2, score) + number_field(3, static_cast<std::uint64_t>(type)));
}

void SentencePieceFile::add_byte(unsigned char value) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  add({std::string("<0x") + digits[value >> 4] + digits[value & 15] + ">"}, 0.0f, byte);
}

std::string SentencePieceFile::bytes() const {
  return pieces_ +
         bytes_field(2, number_field(3, static_cast<std::uint64_t>(model_type)) +
                            number_field(35, byte_fallback ? 1 : 0)) +
         bytes_field(3, bytes_field(1, "own") + bytes_field(2, charsmap));
}

}  // namespace daguerre::test
