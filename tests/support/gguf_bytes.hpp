#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::test {

/// GGUF files by hand, right or wrong: a header from its parts.
class GgufText {
 public:
  /// `tensors` and `values` are the numbers that the header claims.
  explicit GgufText(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
    text_ = "GGUF";
    number(version).number(tensors).number(values);
  }

  template <class T>
  GgufText& number(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    text_.append(bytes, sizeof value);
    return *this;
  }
  GgufText& string(std::string_view text) {
    number(static_cast<std::uint64_t>(text.size()));
    text_ += text;
    return *this;
  }
  /// A metadata value, in bytes as they are.
  GgufText& value(std::string_view key, std::uint32_t type, std::string_view bytes) {
    string(key).number(type);
    text_ += bytes;
    return *this;
  }
  /// `extents` are in the file's order, the innermost first.
  GgufText& tensor(std::string_view name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                   std::uint64_t offset) {
    string(name).number(static_cast<std::uint32_t>(extents.size()));
    for (const auto extent : extents) number(extent);
    return number(type).number(offset);
  }
  /// The header, padded, and `data`.
  std::string with(std::string_view data, std::size_t alignment = 32) const {
    std::string result = text_;
    result.resize((result.size() + alignment - 1) / alignment * alignment, '\0');
    return result.append(data);
  }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// The bytes of a number.
template <class T>
std::string bytes_of_number(T value) {
  std::string result(sizeof value, '\0');
  std::memcpy(result.data(), &value, sizeof value);
  return result;
}

}  // namespace daguerre::test
