#include "text/split_pattern.hpp"

#include <algorithm>
#include <limits>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::text {
namespace {

constexpr std::size_t longest_pattern = 4096, deepest_group = 32;
constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t most_repetitions = 1000;

constexpr std::array<std::string_view, 30> category_names{
    "Cn", "Cc", "Cf", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl",
    "No", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"};

/// The categories of that name, a bit each: "L", "Lu"; 0 for none.
std::uint32_t categories_called(std::string_view name) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < category_names.size(); ++i)
    if (name == category_names[i] || (name.size() == 1 && name[0] == category_names[i][0]))
      bits |= std::uint32_t{1} << i;
  return bits;
}

std::uint32_t bit_of(char32_t code) {
  return std::uint32_t{1} << static_cast<unsigned>(category_of(code));
}

/// The small letter; the long s and the Kelvin sign are an s and a k.
char32_t without_case(char32_t code) {
  if (code == 0x17F) return U's';
  if (code < 128) return code >= U'A' && code <= U'Z' ? code + 32 : code;
  const Char letter{code, 0};
  return lower({&letter, 1}, FinalSigma::ignore)[0].code;
}

}  // namespace

bool CharacterSet::matches(char32_t code) const noexcept {
  const auto in_range = [code](const Range& range) { return code >= range.first && code <= range.last; };
  if (std::any_of(ranges_.begin(), ranges_.end(), in_range)) return true;
  if ((space_ && is_space(code)) || (no_space_ && !is_space(code))) return true;
  if (!present_.empty() || !absent_.empty()) {
    const auto bit = bit_of(code);
    for (const auto bits : present_)
      if (bits & bit) return true;
    for (const auto bits : absent_)
      if (!(bits & bit)) return true;
  }
  return std::any_of(sets_.begin(), sets_.end(),
                     [code](const CharacterSet& set) { return set.contains(code); });
}

bool CharacterSet::decide(char32_t code) const noexcept {
  bool found = matches(code);
  if (!found && any_case_) {
    const char32_t small = without_case(code);
    const bool is_latin = small >= U'a' && small <= U'z';
    found = matches(small) || (is_latin && matches(small - 32));
  }
  return found != negated_;
}

void CharacterSet::finish() {
  for (char32_t code = 0; code < 128; ++code) ascii_[code] = decide(code);
}

/// Builds the nodes from behind: each is made when what follows it is there.
class SplitPatternParser {
 public:
  SplitPatternParser(SplitPattern& pattern, const Chars& text) : pattern_(pattern), text_(text) {}

  std::uint32_t parse() {
    pattern_.nodes_.emplace_back();
    const Group whole = read_group(false, 0);
    if (!ended()) fail("a \")\" without \"(\"");
    return build(whole, 0);
  }

 private:
  using Kind = SplitPattern::Kind;
  using Mode = SplitPattern::Mode;
  struct Item;
  struct Group {
    std::vector<std::vector<Item>> alternatives;
  };
  struct Item {
    Kind kind = Kind::set;  // choice: a group
    bool negative = false;
    std::uint32_t set = 0;
    std::uint32_t least = 1, most = 1;
    Mode mode = Mode::greedy;
    std::vector<Group> group{};  // one, or none
  };

  [[noreturn]] void fail(const std::string& problem) const {
    throw ConfigError("tokenizer", pattern_.source_ + ": the pattern " + in_quotes(pattern_.text_) +
                                       " is not supported: " + problem + ", character " +
                                       std::to_string(at_ + 1));
  }
  bool ended() const { return at_ == text_.size(); }
  char32_t peek() const { return ended() ? 0 : text_[at_].code; }
  bool take(std::u32string_view literal) {
    if (text_.size() - at_ < literal.size()) return false;
    for (std::size_t i = 0; i < literal.size(); ++i)
      if (text_[at_ + i].code != literal[i]) return false;
    at_ += literal.size();
    return true;
  }
  char32_t next() {
    if (ended()) fail("it ends too early");
    return text_[at_++].code;
  }

  Group read_group(bool any_case, std::size_t depth) {
    if (depth > deepest_group) fail("groups go deeper than " + std::to_string(deepest_group));
    Group result;
    result.alternatives.emplace_back();
    while (!ended() && peek() != U')') {
      if (take(U"|")) {
        result.alternatives.emplace_back();
      } else if (take(U"(?i)")) {
        any_case = true;
      } else {
        Item item = read_atom(any_case, depth);
        read_quantifier(item);
        result.alternatives.back().push_back(std::move(item));
      }
    }
    return result;
  }

  Item group_item(Kind kind, bool negative, bool any_case, std::size_t depth) {
    Item item;
    item.kind = kind;
    item.negative = negative;
    item.group.push_back(read_group(any_case, depth + 1));
    if (!take(U")")) fail("a \"(\" without \")\"");
    return item;
  }

  Item read_atom(bool any_case, std::size_t depth) {
    Item item;
    if (take(U"(?:")) return group_item(Kind::choice, false, any_case, depth);
    if (take(U"(?i:")) return group_item(Kind::choice, false, true, depth);
    if (take(U"(?=")) return group_item(Kind::look, false, any_case, depth);
    if (take(U"(?!")) return group_item(Kind::look, true, any_case, depth);
    if (take(U"(?")) fail("a group of that kind");
    if (take(U"(")) return group_item(Kind::choice, false, any_case, depth);
    if (take(U"^") || take(U"$")) {
      item.kind = text_[at_ - 1].code == U'^' ? Kind::line_begin : Kind::line_end;
      return item;
    }
    CharacterSet set;
    if (take(U"[")) {
      set = read_set(any_case, depth);
    } else if (take(U".")) {
      set.add(U'\n', U'\n');
      set.negate();
    } else if (take(U"\\")) {
      if (const auto code = read_escape(set)) set.add(*code, *code);
    } else {
      const char32_t code = next();
      if (code == U'?' || code == U'*' || code == U'+') fail("nothing to repeat");
      set.add(code, code);
    }
    if (any_case) set.ignore_case();
    item.set = keep(std::move(set));
    return item;
  }

  std::uint32_t keep(CharacterSet set) {
    set.finish();
    pattern_.sets_.push_back(std::move(set));
    return static_cast<std::uint32_t>(pattern_.sets_.size()) - 1;
  }

  /// What stands behind a backslash: a character, or a set that is added.
  std::optional<char32_t> read_escape(CharacterSet& set) {
    const char32_t code = next();
    switch (code) {
      case U'n':
        return U'\n';
      case U'r':
        return U'\r';
      case U't':
        return U'\t';
      case U'f':
        return U'\f';
      case U'v':
        return U'\v';
      case U's':
      case U'S':
        set.add_space(code == U'S');
        return std::nullopt;
      case U'd':
      case U'D':
        set.add_categories(categories_called("Nd"), code == U'D');
        return std::nullopt;
      case U'w':
      case U'W':
        set.add_categories(categories_called("L") | categories_called("M") | categories_called("Nd") |
                               categories_called("Nl") | categories_called("Pc"),
                           code == U'W');
        return std::nullopt;
      case U'p':
      case U'P':
        set.add_categories(read_category(), code == U'P');
        return std::nullopt;
      case U'u':
        return read_hex(4);
      case U'x':
        if (!take(U"{")) return read_hex(2);
        {
          const char32_t value = read_hex(8);
          if (!take(U"}")) fail("a number without \"}\"");
          return value;
        }
      default:
        break;
    }
    const bool is_word = code < 128 && ((code | 32) - U'a' < 26 || code - U'0' < 10);
    if (is_word) fail("an escape of that kind");
    return code;
  }

  char32_t read_hex(int most_digits) {
    char32_t value = 0;
    int digits = 0;
    for (; digits < most_digits; ++digits, ++at_) {
      const char32_t code = peek(), small = code | 32;
      if (code - U'0' < 10)
        value = value * 16 + (code - U'0');
      else if (small - U'a' < 6)
        value = value * 16 + (small - U'a' + 10);
      else
        break;
    }
    if (digits == 0 || value > 0x10FFFF) fail("no code point");
    return value;
  }

  std::uint32_t read_category() {
    if (!take(U"{")) fail("\\p without \"{\"");
    std::string name;
    while (peek() != U'}') append_utf8(name, next());
    ++at_;
    const auto bits = categories_called(name);
    if (bits == 0) fail("the property " + in_quotes(name));
    return bits;
  }

  CharacterSet read_set(bool any_case, std::size_t depth) {
    if (depth > deepest_group) fail("sets go deeper than " + std::to_string(deepest_group));
    CharacterSet set;
    const bool negated = take(U"^");
    for (bool first = true; first || peek() != U']'; first = false) {
      if (take(U"&&")) fail("an intersection of sets");
      if (take(U"[:")) fail("a set of that kind");
      if (take(U"[")) {
        set.add_set(read_set(any_case, depth + 1));
        continue;
      }
      std::optional<char32_t> code = next();
      if (code == U'\\') code = read_escape(set);
      if (!code) continue;
      char32_t last = *code;
      // A "-" at the end is itself.
      if (peek() == U'-' && at_ + 1 < text_.size() && text_[at_ + 1].code != U']') {
        ++at_;
        std::optional<char32_t> bound = next();
        if (bound == U'\\') bound = read_escape(set);
        if (!bound || *bound < *code) fail("a range of that kind");
        last = *bound;
      }
      set.add(*code, last);
    }
    ++at_;
    if (any_case) set.ignore_case();
    if (negated) set.negate();
    if (depth > 0) set.finish();
    return set;
  }

  /// {m,n}, {m,}, {,n} or {m}; without one, a "{" is itself.
  bool read_interval(Item& item) {
    const std::size_t begin = at_;
    const auto number = [&]() -> std::optional<std::uint32_t> {
      if (peek() - U'0' >= 10) return std::nullopt;
      std::uint32_t value = 0;
      while (peek() - U'0' < 10) value = std::min(value * 10 + (next() - U'0'), most_repetitions + 1);
      if (value > most_repetitions) fail("more than " + std::to_string(most_repetitions) + " repetitions");
      return value;
    };
    if (!take(U"{")) return false;
    const auto least = number();
    const bool comma = take(U",");
    const auto most = comma ? number() : least;
    if (!take(U"}") || (!least && !most)) {
      at_ = begin;
      return false;
    }
    item.least = least.value_or(0);
    item.most = most.value_or(unlimited);
    if (item.most < item.least) fail("a repetition of that kind");
    return true;
  }

  void read_quantifier(Item& item) {
    const bool interval = read_interval(item);
    if (interval) {
      // {1,3}+ is a repetition of repetitions, of which the number is any.
      if (peek() == U'?' || peek() == U'*' || (peek() == U'+' && item.least > 1))
        fail("a repetition behind a repetition");
      if (take(U"+")) item.most = unlimited;
    } else if (take(U"?")) {
      item.least = 0;
    } else if (take(U"*")) {
      item.least = 0, item.most = unlimited;
    } else if (take(U"+")) {
      item.most = unlimited;
    } else {
      return;
    }
    if (!interval && take(U"?"))
      item.mode = Mode::lazy;
    else if (!interval && take(U"+"))
      item.mode = Mode::possessive;
    if (peek() == U'?' || peek() == U'*' || peek() == U'+') fail("a repetition behind a repetition");
    if (item.kind == Kind::set) {
      item.kind = Kind::loop;
    } else if (item.kind != Kind::choice || item.most != 1 || item.mode == Mode::possessive) {
      fail("a repetition of more than one character or set");
    }
  }

  std::uint32_t add(SplitPattern::Node node) {
    pattern_.nodes_.push_back(std::move(node));
    return static_cast<std::uint32_t>(pattern_.nodes_.size()) - 1;
  }

  /// The node that begins a group which `next` follows.
  std::uint32_t build(const Group& group, std::uint32_t next) {
    SplitPattern::Node choice;
    choice.kind = Kind::choice;
    for (const auto& items : group.alternatives) {
      std::uint32_t first = next;
      for (std::size_t i = items.size(); i-- > 0;) first = build(items[i], first);
      choice.options.push_back(first);
    }
    return choice.options.size() == 1 ? choice.options[0] : add(std::move(choice));
  }

  std::uint32_t build(const Item& item, std::uint32_t next) {
    SplitPattern::Node node;
    node.kind = item.kind;
    node.mode = item.mode;
    node.negative = item.negative;
    node.next = next;
    node.set = item.set;
    node.least = item.least;
    node.most = item.most;
    if (item.kind == Kind::look) node.options = {build(item.group[0], 0)};
    if (item.kind == Kind::choice) {
      const auto inner = build(item.group[0], next);
      if (item.least == 1) return inner;
      node.options = item.mode == Mode::lazy ? std::vector{next, inner} : std::vector{inner, next};
    }
    return add(std::move(node));
  }

  SplitPattern& pattern_;
  const Chars& text_;
  std::size_t at_ = 0;
};

SplitPattern::SplitPattern(std::string_view pattern, const std::string& source)
    : text_(pattern), source_(source) {
  if (pattern.size() > longest_pattern)
    throw ConfigError("tokenizer", source + ": a pattern of " + std::to_string(pattern.size()) +
                                       " bytes, supported are " + std::to_string(longest_pattern));
  start_ = SplitPatternParser(*this, decode_utf8(pattern)).parse();
}

}  // namespace daguerre::text
