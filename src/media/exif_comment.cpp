#include "media/exif_comment.hpp"

#include <cstdint>
#include <optional>

#include "core/text.hpp"
#include "media/orientation.hpp"
#include "media/tiff_reader.hpp"

namespace daguerre {
namespace {

constexpr std::uint64_t exif_directory_tag = 0x8769, user_comment_tag = 0x9286;
constexpr std::string_view unicode_code("UNICODE\0", 8), ascii_code("ASCII\0\0\0", 8);
constexpr std::uint64_t comment_limit = std::uint64_t{16} << 20;

std::string big_endian_bytes(std::uint64_t value, int count) {
  std::string text;
  for (int shift = 8 * (count - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
  return text;
}

std::string directory_entry(std::uint64_t tag, std::uint64_t type, std::uint64_t count, std::uint64_t value) {
  return big_endian_bytes(tag, 2) + big_endian_bytes(type, 2) + big_endian_bytes(count, 4) +
         big_endian_bytes(value, 4);
}

std::string to_utf16(std::string_view utf8) {
  std::string text;
  while (!utf8.empty()) {
    const std::size_t length = utf8_sequence_length(utf8);
    std::uint32_t c = 0xFFFD;
    if (length > 0) c = static_cast<unsigned char>(utf8[0]) & (length == 1 ? 0x7Fu : 0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) c = c << 6 | (static_cast<unsigned char>(utf8[i]) & 0x3F);
    if (c >= 0x10000) {
      text += big_endian_bytes(0xD800 + ((c - 0x10000) >> 10), 2);
      c = 0xDC00 + ((c - 0x10000) & 0x3FF);
    }
    text += big_endian_bytes(c, 2);
    utf8.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

std::string from_utf16(std::string_view text, bool big_endian) {
  std::string utf8;
  const auto unit = [&](std::size_t i) {
    const auto a = static_cast<unsigned char>(text[i]), b = static_cast<unsigned char>(text[i + 1]);
    return static_cast<std::uint32_t>(big_endian ? a << 8 | b : b << 8 | a);
  };
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    std::uint32_t c = unit(i);
    if (c >= 0xD800 && c < 0xDC00 && i + 3 < text.size() && (unit(i + 2) & 0xFC00) == 0xDC00) {
      c = 0x10000 + ((c - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
      i += 2;
    }
    append_code_point(utf8, c == 0 || (c >= 0xD800 && c < 0xE000) ? 0xFFFD : c);
  }
  return utf8;
}

/// Whether UTF-16 text has its higher bytes first, whatever its directory says: most of them are then nought.
bool has_higher_bytes_first(std::string_view text, bool fallback) {
  std::size_t even = 0, odd = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\0') ++(i % 2 == 0 ? even : odd);
  return even == odd ? fallback : even > odd;
}

/// Where the value of a tag of the directory at `at` lies, and its number of elements.
struct TagValue {
  std::uint64_t at = 0, count = 0;
};
std::optional<TagValue> find_tag(const TiffReader& tiff, std::uint64_t at, std::uint64_t tag) {
  const std::uint64_t entries = tiff.number(at, 2).value_or(0);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = at + 2 + 12 * i;
    if (tiff.number(entry, 2) != tag) continue;
    const auto count = tiff.number(entry + 4, 4), value = tiff.number(entry + 8, 4);
    if (!count || !value) return std::nullopt;
    return TagValue{*value, *count};
  }
  return std::nullopt;
}

}  // namespace

std::string exif_with_comment(std::string_view utf8) {
  const std::string comment = std::string(unicode_code) + to_utf16(utf8);
  constexpr std::uint64_t first = 8, directory_size = 2 + 12 + 4;
  const std::string end = big_endian_bytes(0, 4);  // there is no next directory
  return "MM" + big_endian_bytes(42, 2) + big_endian_bytes(first, 4) + big_endian_bytes(1, 2) +
         directory_entry(exif_directory_tag, 4, 1, first + directory_size) + end + big_endian_bytes(1, 2) +
         directory_entry(user_comment_tag, 7, comment.size(), first + 2 * directory_size) + end + comment;
}

std::string exif_comment(std::string_view exif) {
  while (exif.starts_with(exif_prefix)) exif.remove_prefix(exif_prefix.size());
  const std::string_view order = exif.substr(0, 2);
  if (order != "II" && order != "MM") return {};
  const TiffReader tiff(exif, order == "MM");
  const auto directory = find_tag(tiff, tiff.number(4, 4).value_or(exif.size()), exif_directory_tag);
  if (!directory) return {};
  const auto comment = find_tag(tiff, directory->at, user_comment_tag);
  if (!comment || comment->count < unicode_code.size() || comment->count > comment_limit ||
      comment->at > exif.size() || comment->count > exif.size() - comment->at)
    return {};
  const std::string_view text = exif.substr(comment->at, comment->count);
  const std::string_view value = text.substr(unicode_code.size());
  if (text.starts_with(unicode_code)) return from_utf16(value, has_higher_bytes_first(value, order == "MM"));
  if (!text.starts_with(ascii_code) || find_invalid_utf8(value) != value.npos) return {};
  return std::string(value.substr(0, value.find('\0')));
}

}  // namespace daguerre
