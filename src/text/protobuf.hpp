#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace daguerre::text {

/// Walks over the fields of one message in protocol buffers' wire format
/// (https://protobuf.dev/programming-guides/encoding). Strict: lengths must fit, numbers have ten bytes at
/// most, groups are refused. Throws FormatError, naming the source and the byte.
class ProtobufReader {
 public:
  /// `bytes` lie at `offset` in the file that `source` names.
  ProtobufReader(std::string_view bytes, const std::string& source, std::size_t offset = 0)
      : bytes_(bytes), source_(source), offset_(offset) {}

  /// Goes to the next field; false at the end of the message.
  bool next();
  /// Its number.
  std::uint32_t field() const noexcept { return field_; }

  // Its value. Each throws where the field is of another kind.
  std::uint64_t number() const;
  bool boolean() const { return number() != 0; }
  float real() const;
  std::string_view bytes() const;
  /// A reader of the message that it is.
  ProtobufReader message() const;

 private:
  enum class Kind : std::uint8_t { varint, fixed64, bytes, fixed32 };
  [[noreturn]] void fail(const std::string& problem) const;
  void expect(Kind kind) const;
  std::uint64_t read_varint();
  std::string_view take(std::uint64_t size);

  std::string_view bytes_;
  const std::string& source_;
  std::size_t offset_, at_ = 0, field_at_ = 0;
  std::uint32_t field_ = 0;
  Kind kind_ = Kind::varint;
  std::uint64_t number_ = 0;
  std::string_view value_;  // of the other kinds
};

}  // namespace daguerre::text
