#include "daguerre/text/unicode.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include "daguerre/core/error.hpp"

namespace daguerre::text {
namespace {

struct Range {
  char32_t first, last;
};
struct CategoryRange {
  char32_t first, last;
  Category category;
};
struct LowerRange {
  char32_t first, last, stride;
  std::int32_t delta;
};
struct CombiningRange {
  char32_t first, last;
  std::uint8_t combining_class;
};
struct Mapping {
  char32_t from, a, b;
};

using enum Category;
#include "text/unicode_tables.inc"

/// The row of a table sorted by `first` that contains `code`; nullptr when there is none.
template <class Row, std::size_t N>
const Row* find_row(const Row (&table)[N], char32_t code) noexcept {
  const auto after = std::upper_bound(std::begin(table), std::end(table), code,
                                      [](char32_t value, const Row& row) { return value < row.first; });
  if (after == std::begin(table)) return nullptr;
  const Row& row = *std::prev(after);
  return code <= row.last ? &row : nullptr;
}

// Hangul syllables are computed (Unicode, section 3.12), not listed.
constexpr char32_t hangul_base = 0xAC00, leading_base = 0x1100, vowel_base = 0x1161, trailing_base = 0x11A7;
constexpr char32_t leading_count = 19, vowel_count = 21, trailing_count = 28;
constexpr char32_t hangul_count = leading_count * vowel_count * trailing_count;
// Below this nothing decomposes that would not compose again, and nothing combines.
constexpr char32_t first_to_normalize = 0x300;
constexpr char32_t capital_sigma = 0x3A3, small_sigma = 0x3C3, final_sigma = 0x3C2;
constexpr char32_t replacement = 0xFFFD;

std::uint8_t combining_class(char32_t code) noexcept {
  if (code < first_to_normalize) return 0;
  const auto* row = find_row(combining_ranges, code);
  return row ? row->combining_class : std::uint8_t{0};
}

void append_decomposed(Chars& out, char32_t code, std::uint32_t source) {
  if (code - hangul_base < hangul_count) {
    const char32_t index = code - hangul_base, trailing = index % trailing_count;
    out.push_back({leading_base + index / (vowel_count * trailing_count), source});
    out.push_back({vowel_base + index % (vowel_count * trailing_count) / trailing_count, source});
    if (trailing != 0) out.push_back({trailing_base + trailing, source});
    return;
  }
  const auto at =
      std::lower_bound(std::begin(decompositions), std::end(decompositions), code,
                       [](const Mapping& mapping, char32_t value) { return mapping.from < value; });
  if (at == std::end(decompositions) || at->from != code) {
    out.push_back({code, source});
    return;
  }
  append_decomposed(out, at->a, source);
  if (at->b != 0) append_decomposed(out, at->b, source);
}

/// The primary composite of two code points, 0 when there is none.
char32_t composed(char32_t first, char32_t second) noexcept {
  if (first - leading_base < leading_count && second - vowel_base < vowel_count)
    return hangul_base + ((first - leading_base) * vowel_count + second - vowel_base) * trailing_count;
  if (first - hangul_base < hangul_count && (first - hangul_base) % trailing_count == 0 &&
      second - trailing_base - 1 < trailing_count - 1)
    return first + second - trailing_base;
  const auto at = std::lower_bound(
      std::begin(compositions), std::end(compositions), std::pair(first, second),
      [](const Mapping& mapping, const auto& pair) { return std::pair(mapping.from, mapping.a) < pair; });
  return at != std::end(compositions) && at->from == first && at->a == second ? at->b : 0;
}

/// Whether the sigma at `position` ends a word: a cased letter before it and none behind it, case-ignorable
/// characters not counted.
bool ends_word(std::span<const Char> text, std::size_t position) {
  const auto ignorable = [](char32_t code) { return find_row(ignorable_ranges, code) != nullptr; };
  const auto cased = [](char32_t code) { return find_row(cased_ranges, code) != nullptr; };
  std::size_t before = position;
  while (before > 0 && ignorable(text[before - 1].code)) --before;
  if (before == 0 || !cased(text[before - 1].code)) return false;
  std::size_t after = position + 1;
  while (after < text.size() && ignorable(text[after].code)) ++after;
  return after == text.size() || !cased(text[after].code);
}

}  // namespace

Chars decode_utf8(std::string_view text) {
  if (text.size() > std::numeric_limits<std::uint32_t>::max())
    throw ArgumentError("text",
                        "a text of " + std::to_string(text.size()) + " bytes; the limit is 4294967295");
  Chars out;
  out.reserve(text.size());
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto source = static_cast<std::uint32_t>(i);
    const unsigned char lead = byte(i++);
    if (lead < 0x80) {
      out.push_back({lead, source});
      continue;
    }
    const int more = lead >= 0xC2 && lead < 0xE0   ? 1
                     : lead >= 0xE0 && lead < 0xF0 ? 2
                     : lead >= 0xF0 && lead < 0xF5 ? 3
                                                   : 0;
    // The second byte's range is narrower after these leads: no overlong form, surrogate or too large value.
    unsigned char low = 0x80, high = 0xBF;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    char32_t code = more == 0 ? replacement : lead & (0x3Fu >> more);
    for (int k = 0; k < more; ++k, ++i) {
      if (byte(i) < low || byte(i) > high) {
        code = replacement;
        break;
      }
      code = code << 6 | (byte(i) & 0x3Fu);
      low = 0x80, high = 0xBF;
    }
    out.push_back({code, source});
  }
  return out;
}

void append_utf8(std::string& text, char32_t code) {
  const auto push = [&](char32_t value) { text.push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0 | code >> 6);
    push(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    push(0xE0 | code >> 12);
    push(0x80 | (code >> 6 & 0x3F));
    push(0x80 | (code & 0x3F));
  } else {
    push(0xF0 | code >> 18);
    push(0x80 | (code >> 12 & 0x3F));
    push(0x80 | (code >> 6 & 0x3F));
    push(0x80 | (code & 0x3F));
  }
}

std::string to_utf8(std::span<const Char> text) {
  std::string out;
  out.reserve(text.size());
  for (const Char& c : text) append_utf8(out, c.code);
  return out;
}

Category category_of(char32_t code) noexcept {
  const auto* row = find_row(category_ranges, code);
  return row ? row->category : Category::Cn;
}

bool is_letter(char32_t code) noexcept {
  if (code < 0x80) return (code | 0x20) - U'a' < 26;
  const auto category = category_of(code);
  return category >= Category::Ll && category <= Category::Lu;
}

bool is_number(char32_t code) noexcept {
  if (code < 0x80) return code - U'0' < 10;
  const auto category = category_of(code);
  return category >= Category::Nd && category <= Category::No;
}

bool is_space(char32_t code) noexcept {
  return (code >= 0x9 && code <= 0xD) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

std::span<const Char> strip(std::span<const Char> text) {
  const auto blank = [](const Char& c) { return is_space(c.code) || (c.code >= 0x1C && c.code <= 0x1F); };
  while (!text.empty() && blank(text.front())) text = text.subspan(1);
  while (!text.empty() && blank(text.back())) text = text.first(text.size() - 1);
  return text;
}

Chars lower(std::span<const Char> text, FinalSigma sigma) {
  Chars out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto [code, source] = text[i];
    if (code == 0x130) {
      out.push_back({U'i', source});
      out.push_back({0x307, source});
    } else if (code == capital_sigma) {
      const bool final = sigma == FinalSigma::follow && ends_word(text, i);
      out.push_back({final ? final_sigma : small_sigma, source});
    } else {
      const auto* row = find_row(lower_ranges, code);
      const bool upper = row && (code - row->first) % row->stride == 0;
      out.push_back(
          {upper ? static_cast<char32_t>(static_cast<std::int32_t>(code) + row->delta) : code, source});
    }
  }
  return out;
}

Chars nfc(std::span<const Char> text) {
  if (std::all_of(text.begin(), text.end(), [](const Char& c) { return c.code < first_to_normalize; }))
    return {text.begin(), text.end()};

  Chars decomposed;
  decomposed.reserve(text.size());
  for (const Char& c : text) append_decomposed(decomposed, c.code, c.source);

  // Canonical ordering: runs of combining characters by class. The class is looked up once a character.
  struct Classed {
    Char value;
    std::uint8_t combining_class;
  };
  std::vector<Classed> ordered;
  ordered.reserve(decomposed.size());
  for (const Char& c : decomposed) ordered.push_back({c, combining_class(c.code)});
  const auto starter = [](const Classed& c) { return c.combining_class == 0; };
  for (auto run = ordered.begin(); run != ordered.end();) {
    run = std::find_if_not(run, ordered.end(), starter);
    const auto end = std::find_if(run, ordered.end(), starter);
    std::stable_sort(
        run, end, [](const Classed& a, const Classed& b) { return a.combining_class < b.combining_class; });
    run = end;
  }

  // Composition, in place of the decomposed characters: each one is joined to the last starter unless
  // something between them blocks it.
  Chars out;
  out.reserve(ordered.size());
  std::size_t last_starter = 0;
  int blocking = -1;  // the class of the last character kept since that starter; -1: there is no starter yet
  bool adjacent = false;  // nothing was kept since the starter
  for (const Classed& c : ordered) {
    if (blocking >= 0 && (adjacent || blocking < c.combining_class)) {
      if (const char32_t joined = composed(out[last_starter].code, c.value.code)) {
        out[last_starter].code = joined;
        continue;
      }
    }
    if (c.combining_class == 0) {
      last_starter = out.size();
      adjacent = true;
    } else {
      adjacent = false;
    }
    if (c.combining_class == 0 || blocking >= 0) blocking = c.combining_class;
    out.push_back(c.value);
  }
  return out;
}

}  // namespace daguerre::text
