#include "text/protobuf.hpp"

#include <bit>

#include "text/vocabulary_files.hpp"

namespace daguerre::text {

void ProtobufReader::fail(const std::string& problem) const {
  malformed(source_, "byte " + std::to_string(offset_ + field_at_) + ": " + problem);
}

std::uint64_t ProtobufReader::read_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at_ == bytes_.size()) fail("the file ends inside a number");
    const auto byte = static_cast<unsigned char>(bytes_[at_++]);
    if (shift == 63 && byte > 1) break;
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("a number of more than 64 bits");
}

std::string_view ProtobufReader::take(std::uint64_t size) {
  if (size > bytes_.size() - at_)
    fail("a field of " + std::to_string(size) + " bytes, of which " + std::to_string(bytes_.size() - at_) +
         " are there");
  const auto result = bytes_.substr(at_, static_cast<std::size_t>(size));
  at_ += result.size();
  return result;
}

bool ProtobufReader::next() {
  if (at_ == bytes_.size()) return false;
  field_at_ = at_;
  const std::uint64_t tag = read_varint();
  if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) fail("there is no field " + std::to_string(tag >> 3));
  field_ = static_cast<std::uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      kind_ = Kind::varint;
      number_ = read_varint();
      return true;
    case 1:
      kind_ = Kind::fixed64;
      value_ = take(8);
      return true;
    case 2:
      kind_ = Kind::bytes;
      value_ = take(read_varint());
      return true;
    case 5:
      kind_ = Kind::fixed32;
      value_ = take(4);
      return true;
    default:
      fail("a field of the unknown kind " + std::to_string(tag & 7));
  }
}

void ProtobufReader::expect(Kind kind) const {
  if (kind_ != kind) fail("field " + std::to_string(field_) + " is of another kind than expected");
}

std::uint64_t ProtobufReader::number() const {
  expect(Kind::varint);
  return number_;
}

float ProtobufReader::real() const {
  expect(Kind::fixed32);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 4; ++i) bits |= std::uint32_t{static_cast<unsigned char>(value_[i])} << (8 * i);
  return std::bit_cast<float>(bits);
}

std::string_view ProtobufReader::bytes() const {
  expect(Kind::bytes);
  return value_;
}

ProtobufReader ProtobufReader::message() const {
  expect(Kind::bytes);
  return {value_, source_, offset_ + at_ - value_.size()};
}

}  // namespace daguerre::text
