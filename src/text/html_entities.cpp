#include "text/html_entities.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace daguerre::text {
namespace {

struct Entity {
  std::string_view name;
  bool without_semicolon;
  char32_t first, second;
};

#include "text/html_entities.inc"

// A name is at most this long; what is matched as one ends there.
constexpr std::size_t max_name = 32;

/// Numbers 0x80 to 0x9F mean the characters of Windows-1252.
constexpr char32_t windows_1252[32] = {0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021,
                                       0x2C6,  0x2030, 0x160,  0x2039, 0x152,  0x8D,   0x17D,  0x8F,
                                       0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                       0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};

const Entity* find_entity(std::string_view name) {
  const auto at =
      std::lower_bound(std::begin(entities), std::end(entities), name,
                       [](const Entity& entity, std::string_view value) { return entity.name < value; });
  return at != std::end(entities) && at->name == name ? &*at : nullptr;
}

/// What a numeric reference stands for; nullopt: nothing.
std::optional<char32_t> numeric(char32_t code) {
  if (code == 0 || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF) return 0xFFFD;
  if (code >= 0x80 && code <= 0x9F) return windows_1252[code - 0x80];
  const bool control =
      (code < 0x20 && code != '\t' && code != '\n' && code != '\f' && code != '\r') || code == 0x7F;
  const bool noncharacter = (code >= 0xFDD0 && code <= 0xFDEF) || (code & 0xFFFE) == 0xFFFE;
  if (control || noncharacter) return std::nullopt;
  return code;
}

/// The digit's value, or 16 when `code` is none of that base.
char32_t digit(char32_t code, char32_t base) {
  if (code - U'0' < 10) return code - U'0';
  const char32_t letter = (code | 0x20) - U'a';
  return base == 16 && letter < 6 ? letter + 10 : 16;
}

/// Appends what the numeric reference at `rest` (behind the `&`) stands for. Returns its length, 0 when there
/// is none.
std::size_t take_number(std::span<const Char> rest, std::uint32_t source, Chars& out) {
  if (rest.size() < 2 || rest[0].code != U'#') return 0;
  const char32_t base = rest[1].code == U'x' || rest[1].code == U'X' ? 16 : 10;
  const std::size_t begin = base == 16 ? 2 : 1;
  std::size_t i = begin;
  char32_t value = 0;
  for (; i < rest.size() && digit(rest[i].code, base) < base; ++i)
    value = std::min<char32_t>(value * base + digit(rest[i].code, base), 0x110000);
  if (i == begin) return 0;
  if (const auto code = numeric(value)) out.push_back({*code, source});
  return i + (i < rest.size() && rest[i].code == U';' ? 1 : 0);
}

/// The same for a named reference: the longest name that matches.
std::size_t take_name(std::span<const Char> rest, std::uint32_t source, Chars& out) {
  std::string name;
  for (std::size_t i = 0; i < rest.size() && i < max_name && rest[i].code < 0x80; ++i) {
    const char c = static_cast<char>(rest[i].code);
    if (std::string_view("\t\n\f <&#;").find(c) != std::string_view::npos) break;
    name.push_back(c);
  }
  const bool semicolon = name.size() < rest.size() && rest[name.size()].code == U';';
  const auto put = [&](const Entity& entity) {
    out.push_back({entity.first, source});
    if (entity.second != 0) out.push_back({entity.second, source});
  };
  if (const auto* entity = find_entity(name); entity && semicolon) {
    put(*entity);
    return name.size() + 1;
  }
  for (; name.size() >= 2; name.pop_back())
    if (const auto* entity = find_entity(name); entity && entity->without_semicolon) {
      put(*entity);
      return name.size();
    }
  return 0;
}

}  // namespace

Chars unescape_html(std::span<const Char> text) {
  Chars out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Char c = text[i++];
    if (c.code == U'&') {
      const auto rest = text.subspan(i);
      std::size_t taken = take_number(rest, c.source, out);
      if (taken == 0) taken = take_name(rest, c.source, out);
      i += taken;
      if (taken != 0) continue;
    }
    out.push_back(c);
  }
  return out;
}

}  // namespace daguerre::text
