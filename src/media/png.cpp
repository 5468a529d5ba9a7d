#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "core/attempt.hpp"
#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/media/image.hpp"
#include "media/bytes.hpp"
#include "media/picture_file.hpp"
#include "media/png_chunks.hpp"
#include "media/stb.hpp"

// Text in PNG files: chunks tEXt (Latin-1), zTXt (the same, deflated) and iTXt (UTF-8, deflated or not) of
// the PNG specification (ISO/IEC 15948), clause 11.3.4.

namespace daguerre {
namespace {

constexpr std::size_t text_limit = std::size_t{16} << 20;
constexpr std::size_t keyword_limit = 79;
constexpr std::size_t header_end = 8 + 12 + 13;  // signature and IHDR
constexpr char32_t replacement = 0xFFFD;

void append_utf8(std::string& out, char32_t code_point) {
  const auto continuation = [&](int shift) { out += static_cast<char>(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += static_cast<char>(0xC0 | code_point >> 6);
    continuation(0);
  } else if (code_point < 0x10000) {
    out += static_cast<char>(0xE0 | code_point >> 12);
    continuation(6);
    continuation(0);
  } else {
    out += static_cast<char>(0xF0 | code_point >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

/// Takes the first code point off `utf8`; nothing, and one byte taken, when it is malformed.
std::optional<char32_t> take_code_point(std::string_view& utf8) {
  const auto byte = [&](std::size_t i) -> char32_t { return static_cast<unsigned char>(utf8[i]); };
  const char32_t lead = byte(0);
  const std::size_t length = lead < 0x80       ? 1
                             : lead >> 5 == 6  ? 2
                             : lead >> 4 == 14 ? 3
                             : lead >> 3 == 30 ? 4
                                               : 0;
  constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  char32_t code_point = length <= 1 ? lead : lead & (0x7Fu >> length);
  bool valid = length != 0 && length <= utf8.size();
  for (std::size_t i = 1; valid && i < length; ++i) {
    valid = byte(i) >> 6 == 2;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  valid = valid && code_point >= smallest[length] && code_point <= 0x10FFFF && code_point >> 11 != 0x1B;
  utf8.remove_prefix(valid ? length : 1);
  return valid ? std::optional(code_point) : std::nullopt;
}

std::string latin1_to_utf8(std::string_view latin1) {
  std::string utf8;
  for (const char byte : latin1) append_utf8(utf8, static_cast<unsigned char>(byte));
  return utf8;
}

/// The keyword in Latin-1. Throws ArgumentError for one that PNG does not permit.
std::string encode_keyword(std::string_view keyword) {
  std::string latin1;
  bool valid = !keyword.starts_with(' ') && !keyword.ends_with(' ') && keyword.find("  ") == keyword.npos;
  for (std::string_view rest = keyword; valid && !rest.empty();) {
    const char32_t c = take_code_point(rest).value_or(0);
    valid = (c >= 0x20 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF);
    latin1 += static_cast<char>(c);
  }
  if (!valid || latin1.empty() || latin1.size() > keyword_limit)
    throw ArgumentError("image", in_quotes(keyword) +
                                     " is not a PNG keyword: 1 to 79 printable Latin-1 characters without "
                                     "spaces at the ends or in a row");
  return latin1;
}

std::string text_chunk(std::string_view keyword, std::string_view text) {
  std::string utf8, latin1;
  bool fits_latin1 = true;
  while (!text.empty()) {
    char32_t c = take_code_point(text).value_or(replacement);
    if (c == 0) c = replacement;
    append_utf8(utf8, c);
    latin1 += static_cast<char>(c);
    fits_latin1 = fits_latin1 && c <= 0xFF;
  }
  std::string data = encode_keyword(keyword);
  data += '\0';
  // iTXt: not compressed, no method, no language, no translated keyword.
  data += fits_latin1 ? latin1 : std::string(4, '\0') + utf8;
  return png_chunk(fits_latin1 ? "tEXt" : "iTXt", data);
}

/// Reads the chunks of one file. Every length is checked against what is left; no byte is looked at more
/// often than a fixed number of times.
class TextReader {
 public:
  TextReader(std::string_view file, std::string_view name) : rest_(file), name_(name) {}

  PngText read() {
    if (!rest_.starts_with(png_signature)) throw error("is not a PNG file");
    rest_.remove_prefix(png_signature.size());
    for (bool first = true;; first = false) {
      if (rest_.size() < 12) throw error("ends before its IEND chunk");
      const std::size_t length = big_endian(rest_);
      const std::string_view type = rest_.substr(4, 4);
      if (length > rest_.size() - 12)
        throw error("a chunk has " + std::to_string(length) + " bytes, the file only " +
                    std::to_string(rest_.size() - 12) + " more");
      if (first && (type != "IHDR" || length != 13)) throw error("does not begin with an IHDR chunk");
      if (type == "IEND") return std::move(text_);
      if (type == "tEXt" || type == "zTXt" || type == "iTXt") {
        if (png_crc32(rest_.substr(4, 4 + length)) != big_endian(rest_.substr(8 + length)))
          throw error("a text chunk has a wrong checksum");
        read_chunk(type[0], rest_.substr(8, length));
      }
      rest_.remove_prefix(12 + length);
    }
  }

 private:
  FormatError error(const std::string& message) const {
    return FormatError("image", std::string(name_) + ": " + message);
  }

  std::string_view take(std::string_view& data, std::size_t count) const {
    if (count > data.size()) throw error("a text chunk is too short");
    const std::string_view taken = data.substr(0, count);
    data.remove_prefix(count);
    return taken;
  }

  std::string_view take_terminated(std::string_view& data) const {
    const std::string_view taken = take(data, std::min(data.find('\0'), data.size()));
    take(data, 1);
    return taken;
  }

  void read_chunk(char kind, std::string_view data) {
    const std::string_view keyword = take_terminated(data);
    if (keyword.empty() || keyword.size() > keyword_limit)
      throw error("a text chunk has a keyword of " + std::to_string(keyword.size()) + " bytes");
    bool compressed = kind == 'z';
    if (kind == 'i') compressed = take(data, 1)[0] != 0;
    if (kind != 't' && take(data, 1)[0] != 0 && compressed)
      throw error("a text chunk is compressed by an unknown method");
    if (kind == 'i') {
      take_terminated(data);  // language
      take_terminated(data);  // translated keyword
    }
    std::string text = compressed ? inflate(data) : std::string(data);
    if (kind != 'i')
      text = latin1_to_utf8(text);
    else if (find_invalid_utf8(text) != text.npos)
      throw error("an iTXt chunk is not UTF-8");
    text_size_ += text.size();
    if (text_size_ > text_limit) throw error("holds more than 16 MB of text");
    text_.emplace_back(latin1_to_utf8(keyword), std::move(text));
  }

  std::string inflate(std::string_view data) const {
    // Deflate cannot do better than 1032 to 1, so a small chunk needs no large buffer.
    const std::size_t capacity = std::min(text_limit - text_size_ + 1, data.size() * 1032 + 64);
    const auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
    const auto size = stb::inflate(std::as_bytes(std::span(data)), {buffer.get(), capacity});
    if (!size) throw error("a compressed text is malformed or longer than 16 MB");
    return {buffer.get(), *size};
  }

  std::string_view rest_;
  std::string_view name_;
  PngText text_;
  std::size_t text_size_ = 0;
};

}  // namespace

std::vector<std::byte> Image::encode_png(const PngText& text) const {
  if (empty()) throw ArgumentError("image", "an empty picture cannot be encoded");
  std::size_t text_size = 0;
  std::string chunks;
  for (const auto& [keyword, value] : text) {
    text_size += value.size();
    if (text_size > text_limit) throw ArgumentError("image", "more than 16 MB of PNG text");
    chunks += text_chunk(keyword, value);
  }
  std::vector<std::byte> png = stb::encode_png(pixels_, width_, height_, channels_);
  const auto bytes = std::as_bytes(std::span(chunks));
  png.insert(png.begin() + header_end, bytes.begin(), bytes.end());
  return png;
}

void Image::save_png(const std::filesystem::path& path, const PngText& text) const {
  write_file("image", path, encode_png(text));
}

PngText decode_png_text(std::span<const std::byte> file, std::string_view name) {
  return TextReader(as_text(file), name).read();
}

PngText read_png_text(const std::filesystem::path& path) {
  return naming(path,
                [&] { return decode_png_text(read_file("image", path, picture_file_limit), path.string()); });
}

}  // namespace daguerre
