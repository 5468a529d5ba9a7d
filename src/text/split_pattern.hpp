#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/text/unicode.hpp"

namespace daguerre::text {

/// A set of characters, as `[^\s\p{L}0-9]` says.
class CharacterSet {
 public:
  void add(char32_t first, char32_t last) { ranges_.push_back({first, last}); }
  /// `categories` is a bit for each Category; `negated`: what is in none of them.
  void add_categories(std::uint32_t categories, bool negated) {
    (negated ? absent_ : present_).push_back(categories);
  }
  void add_space(bool negated) { (negated ? no_space_ : space_) = true; }
  void add_set(CharacterSet set) { sets_.push_back(std::move(set)); }
  void negate() { negated_ = !negated_; }
  /// Letters match whatever their case.
  void ignore_case() { any_case_ = true; }
  /// To be called once, when all is in.
  void finish();

  bool contains(char32_t code) const noexcept { return code < 128 ? ascii_[code] : decide(code); }

 private:
  struct Range {
    char32_t first, last;
  };
  bool decide(char32_t code) const noexcept;
  bool matches(char32_t code) const noexcept;

  std::vector<Range> ranges_;
  std::vector<std::uint32_t> present_, absent_;
  std::vector<CharacterSet> sets_;
  bool space_ = false, no_space_ = false, negated_ = false, any_case_ = false;
  std::bitset<128> ascii_;
};

/// The regular expressions that tokenizers cut texts by, in Oniguruma's syntax as far as these need it:
/// literals, sets of characters with `\p{Lu}`, `\s`, `\d`, `\w` and their opposites, groups, `(?i:…)`,
/// alternatives, `(?=…)` and `(?!…)`, `^` and `$` (of a line), and `? * + {m,n}`, greedy, lazy or possessive,
/// behind one character or set; `?` behind a group as well. Immutable.
class SplitPattern {
 public:
  /// Throws ConfigError naming `source` and the pattern for what is not supported or too long.
  SplitPattern(std::string_view pattern, const std::string& source);

  struct Range {
    std::size_t begin, end;
  };
  class Matcher;

 private:
  friend class SplitPatternParser;
  enum class Kind : std::uint8_t { end, set, loop, choice, look, line_begin, line_end };
  enum class Mode : std::uint8_t { greedy, lazy, possessive };
  /// What is matched from one place on: itself, then `next`.
  struct Node {
    Kind kind = Kind::end;
    Mode mode = Mode::greedy;
    bool negative = false;                 // look: must not match
    std::uint32_t next = 0;                // node 0 is the end
    std::uint32_t set = 0;                 // set, loop
    std::uint32_t least = 0, most = 0;     // loop
    std::vector<std::uint32_t> options{};  // choice: in this order, each going on to what follows; look: one
  };
  std::vector<Node> nodes_;
  std::vector<CharacterSet> sets_;
  std::uint32_t start_ = 0;
  std::string text_, source_;
};

/// Looks for a pattern in one text after the other. A loop remembers how far its run goes and from where on
/// what follows it is known to fail, so that a text takes time in proportion to its length. Keeps the
/// pattern.
class SplitPattern::Matcher {
 public:
  explicit Matcher(const SplitPattern& pattern);
  /// Begins with another text, which is kept.
  void begin(std::span<const Char> text);
  /// The first match that is not empty, at `from` or behind; nothing where there is none. Throws ConfigError
  /// for a pattern that takes too long.
  std::optional<Range> find(std::size_t from);

 private:
  struct Memory {
    std::size_t run_begin = 0, run_end = 0;        // all of these match, and the one behind does not
    std::size_t failed_begin = 0, failed_end = 0;  // where what follows fails, if it was tried
  };
  std::size_t match(std::uint32_t node, std::size_t at);
  std::size_t match_loop(std::uint32_t node, std::size_t at);
  std::size_t run_end(const Node& node, Memory& memory, std::size_t at) const;

  const SplitPattern* pattern_;
  std::span<const Char> text_;
  std::vector<Memory> memory_;
  std::size_t steps_ = 0, allowed_;
};

}  // namespace daguerre::text
