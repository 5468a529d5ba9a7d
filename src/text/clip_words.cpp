#include "text/clip_words.hpp"

#include <algorithm>
#include <array>

#include "text/clean_prompt.hpp"

namespace daguerre::text {
namespace {

constexpr char32_t long_s = 0x17F;

enum class Kind { skipped, letter, number, other };

Kind kind_of(char32_t code, ClipDialect dialect) {
  // openai/CLIP matches regardless of case. To the regex module U+0345, a mark whose capital is a letter, is
  // then neither a letter nor "none of \s, \p{L}, \p{N}", and falls between the words.
  if (dialect == ClipDialect::openai && code == 0x345) return Kind::skipped;
  if (is_space(code)) return Kind::skipped;
  if (is_letter(code)) return Kind::letter;
  return is_number(code) ? Kind::number : Kind::other;
}

/// Whether a character of lower-cased text matches `letter`. Regardless of case, the long s is an s too.
bool matches(char32_t code, char32_t letter, ClipDialect dialect) {
  return code == letter || (dialect == ClipDialect::openai && letter == U's' && code == long_s);
}

bool starts_with(std::span<const Char> text, std::span<const Char> prefix, ClipDialect dialect) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(),
                    [&](const Char& p, const Char& c) { return matches(c.code, p.code, dialect); });
}

/// Length of the contraction that `text` begins with; 0 when it does not.
std::size_t contraction(std::span<const Char> text, ClipDialect dialect) {
  static constexpr std::array<std::u32string_view, 7> endings{U"s", U"t", U"re", U"ve", U"m", U"ll", U"d"};
  if (text[0].code != U'\'') return 0;
  const auto rest = text.subspan(1);
  for (const auto ending : endings)
    if (rest.size() >= ending.size() &&
        std::equal(ending.begin(), ending.end(), rest.begin(),
                   [&](char32_t letter, const Char& c) { return matches(c.code, letter, dialect); }))
      return ending.size() + 1;
  return 0;
}

/// Length of the word at the beginning of `text`, which is not empty; 0 when its first character is skipped.
std::size_t word_length(std::span<const Char> text, ClipDialect dialect) {
  if (const std::size_t length = contraction(text, dialect)) return length;
  const Kind kind = kind_of(text[0].code, dialect);
  if (kind == Kind::skipped) return 0;
  std::size_t length = 1;
  if (kind != Kind::number)
    while (length < text.size() && kind_of(text[length].code, dialect) == kind) ++length;
  return length;
}

Chars normalize_huggingface(std::span<const Char> text) {
  return lower(collapse_spaces(nfc(text)), FinalSigma::ignore);
}

Chars normalize_openai(std::span<const Char> text) {
  return lower(cleaned(text), FinalSigma::follow);
}

/// The first of `patterns` (the longest stand first) that `text` begins with; nullptr when there is none.
template <class Pattern>
const Pattern* find_pattern(const std::vector<Pattern>& patterns, std::span<const Char> text,
                            ClipDialect dialect) {
  const auto at = std::find_if(patterns.begin(), patterns.end(), [&](const Pattern& pattern) {
    return starts_with(text, pattern.content, dialect);
  });
  return at == patterns.end() ? nullptr : &*at;
}

/// Calls `between` with what lies before, between and behind the patterns and `found` with each pattern. Both
/// return false to stop.
template <class Pattern, class Between, class Found>
bool cut(std::span<const Char> text, const std::vector<Pattern>& patterns, Between&& between, Found&& found) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Pattern* pattern = find_pattern(patterns, text.subspan(i), ClipDialect::huggingface);
    if (!pattern) {
      ++i;
      continue;
    }
    const std::size_t length = pattern->content.size();
    if (!between(text.subspan(begin, i - begin)) || !found(text.subspan(i, length), pattern->id))
      return false;
    begin = i += length;
  }
  return between(text.subspan(begin));
}

bool same_text(std::span<const Char> a, std::span<const Char> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Char& x, const Char& y) { return x.code == y.code; });
}

}  // namespace

ClipSplitter::ClipSplitter(ClipDialect dialect, const AddedToken& end, const std::vector<AddedToken>& others)
    : dialect_(dialect) {
  const auto add = [&](const AddedToken& token) {
    const Chars content = decode_utf8(token.content);
    if (dialect == ClipDialect::openai)
      normalized_.push_back({content, token.id});
    else if (token.normalized)
      normalized_.push_back({normalize_huggingface(content), token.id});
    else
      raw_.push_back({content, token.id});
  };
  add(end);
  for (const auto& token : others) add(token);
  for (auto* patterns : {&raw_, &normalized_})
    std::stable_sort(patterns->begin(), patterns->end(),
                     [](const Pattern& a, const Pattern& b) { return a.content.size() > b.content.size(); });
}

void ClipSplitter::split(std::string_view text, const Visitor& visit) const {
  const Chars chars = decode_utf8(text);
  if (dialect_ == ClipDialect::openai) {
    split_openai(chars, visit);
    return;
  }
  cut(
      chars, raw_, [&](std::span<const Char> section) { return split_section(section, visit); },
      [&](std::span<const Char> token, std::int32_t id) {
        return visit({token, id});
      });
}

bool ClipSplitter::split_section(std::span<const Char> text, const Visitor& visit) const {
  const Chars normalized = normalize_huggingface(text);
  const auto words = [&](std::span<const Char> rest) {
    while (!rest.empty()) {
      const std::size_t length = word_length(rest, dialect_);
      if (length != 0 && !visit({rest.first(length)})) return false;
      rest = rest.subspan(std::max<std::size_t>(length, 1));
    }
    return true;
  };
  return cut(std::span<const Char>(normalized), normalized_, words,
             [&](std::span<const Char> token, std::int32_t id) {
               return visit({token, id});
             });
}

bool ClipSplitter::split_openai(std::span<const Char> text, const Visitor& visit) const {
  const Chars normalized = normalize_openai(text);
  for (std::span<const Char> rest = normalized; !rest.empty();) {
    std::size_t length = 0;
    std::int32_t special = -1;
    if (const Pattern* pattern = find_pattern(normalized_, rest, dialect_)) {
      length = pattern->content.size();
      // With a long s in it, it is cut out like a special token but encoded like a word.
      if (same_text(rest.first(length), pattern->content)) special = pattern->id;
    } else {
      length = word_length(rest, dialect_);
    }
    if (length != 0 && !visit({rest.first(length), special})) return false;
    rest = rest.subspan(std::max<std::size_t>(length, 1));
  }
  return true;
}

}  // namespace daguerre::text
