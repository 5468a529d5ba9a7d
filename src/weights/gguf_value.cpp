#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "weights/gguf_types.hpp"

namespace daguerre::weights {
namespace {

constexpr std::size_t length_bytes = 8, array_head = 12;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at = 0) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// Calls take(number) for a number of any type.
template <class Take>
void with_number(GgufType type, std::span<const std::byte> bytes, const Take& take) {
  using enum GgufType;
  switch (type) {
    case u8:
      return take(load<std::uint8_t>(bytes));
    case i8:
      return take(load<std::int8_t>(bytes));
    case u16:
      return take(load<std::uint16_t>(bytes));
    case i16:
      return take(load<std::int16_t>(bytes));
    case u32:
      return take(load<std::uint32_t>(bytes));
    case i32:
      return take(load<std::int32_t>(bytes));
    case f32:
      return take(load<float>(bytes));
    case u64:
      return take(load<std::uint64_t>(bytes));
    case i64:
      return take(load<std::int64_t>(bytes));
    case f64:
      return take(load<double>(bytes));
    case boolean:
    case string:
    case array:
      return;
  }
}

template <class To>
std::optional<To> whole_number(GgufType type, std::span<const std::byte> bytes) {
  std::optional<To> result;
  with_number(type, bytes, [&]<class From>(From value) {
    if constexpr (std::is_integral_v<From>)
      if (std::in_range<To>(value)) result = static_cast<To>(value);
  });
  return result;
}

/// Bytes of the value of `type` at the beginning of `bytes`.
std::size_t extent(GgufType type, std::span<const std::byte> bytes) {
  if (type == GgufType::string) return length_bytes + static_cast<std::size_t>(load<std::uint64_t>(bytes));
  if (type != GgufType::array) return gguf_size(type);
  const auto item = static_cast<GgufType>(load<std::uint32_t>(bytes));
  const auto count = static_cast<std::size_t>(load<std::uint64_t>(bytes, 4));
  if (const auto size = gguf_size(item); size > 0) return array_head + count * size;
  std::size_t end = array_head;
  for (std::size_t i = 0; i < count; ++i) end += extent(item, bytes.subspan(end));
  return end;
}

std::string string_json(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

GgufType GgufValue::item_type() const {
  return type_ == GgufType::array ? static_cast<GgufType>(load<std::uint32_t>(bytes_)) : type_;
}

std::uint64_t GgufValue::size() const {
  return type_ == GgufType::array ? load<std::uint64_t>(bytes_, 4) : 1;
}

std::optional<std::int64_t> GgufValue::integer() const {
  return whole_number<std::int64_t>(type_, bytes_);
}

std::optional<std::uint64_t> GgufValue::natural() const {
  return whole_number<std::uint64_t>(type_, bytes_);
}

std::optional<double> GgufValue::number() const {
  std::optional<double> result;
  with_number(type_, bytes_, [&](auto value) { result = static_cast<double>(value); });
  return result;
}

std::optional<bool> GgufValue::boolean() const {
  if (type_ != GgufType::boolean) return std::nullopt;
  return load<std::uint8_t>(bytes_) != 0;
}

std::optional<std::string_view> GgufValue::text() const {
  if (type_ != GgufType::string) return std::nullopt;
  const auto text = bytes_.subspan(length_bytes);
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
}

std::vector<GgufValue> GgufValue::items() const {
  std::vector<GgufValue> result;
  if (type_ != GgufType::array) return result;
  const auto item = item_type();
  auto rest = bytes_.subspan(array_head);
  result.reserve(static_cast<std::size_t>(size()));
  for (std::uint64_t i = 0; i < size(); ++i) {
    const auto length = extent(item, rest);
    result.emplace_back(item, rest.first(length));
    rest = rest.subspan(length);
  }
  return result;
}

std::string GgufValue::to_json(std::size_t most) const {
  if (const auto string = text()) return string_json(*string);
  if (const auto truth = boolean()) return *truth ? "true" : "false";
  if (type_ == GgufType::array) {
    if (size() > most)
      return "[" + std::to_string(size()) + " " + std::string(weights::name(item_type())) + "]";
    std::string result;
    for (const auto& item : items()) result += (result.empty() ? "[" : ", ") + item.to_json(most);
    return result.empty() ? "[]" : result + "]";
  }
  std::string result;
  with_number(type_, bytes_, [&]<class T>(T value) { result = to_text(nlohmann::json(value)); });
  return result;
}

}  // namespace daguerre::weights
