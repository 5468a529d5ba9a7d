#pragma once

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/text/compel.hpp"
#include "text/prompt_text.hpp"

/// compel's grammar: how a prompt becomes a tree, as pyparsing reads it.
namespace daguerre::text::compel {

inline constexpr std::string_view blanks = " \t\n\r";               // pyparsing passes over these
inline constexpr std::string_view word_ends = " \t\n\r\v\f";        // string.whitespace
inline constexpr std::string_view syntax_characters = "()\",.+-=";  // each may be escaped

inline bool is_one_of(char c, std::string_view set) {
  return set.find(c) != set.npos;
}
inline bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_keyword_character(char c) {
  return is_ascii_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// What happens to a text whenever the reference makes a fragment of it.
inline std::string as_fragment(std::string text) {
  if (text.find('\\') == text.npos) return text;
  replace_all(text, "\\(", "(");
  replace_all(text, "\\)", ")");
  replace_all(text, "\\\"", "\"");
  return text;
}

/// The tree that a prompt is: its nodes by number.
struct CompelNode {
  enum class Kind { fragment, attention, swap, lora };
  Kind kind = Kind::fragment;
  std::string text{};  ///< of a fragment; a LoRA's name
  double weight = 1.0;
  std::vector<std::size_t> children{}, edited{};
  std::map<std::string, double> options{};
};
using CompelTree = std::vector<CompelNode>;

struct Reading {
  std::size_t end = 0;
  std::vector<std::size_t> nodes;
};
using MaybeReading = std::optional<Reading>;

/// A key with a value, a number, or a word.
struct CompelOption {
  std::string text;  ///< the key, or the number or word itself
  std::optional<double> value{};
};

/// pyparsing's way through compel's grammar: the first alternative that matches is taken. What was read at a
/// place is kept, so that alternatives that begin alike cost nothing.
class CompelReader {
 public:
  CompelReader(std::string text, CompelTree& tree) : text_(std::move(text)), tree_(tree) {}

  std::size_t size() const noexcept { return text_.size(); }
  std::size_t skip(std::size_t at) const {
    while (at < text_.size() && is_one_of(text_[at], blanks)) ++at;
    return at;
  }
  bool at_end(std::size_t at) const { return skip(at) == text_.size(); }

  /// A whole prompt: words with any characters, but for what is syntax.
  Reading prompt(std::size_t at) {
    return repeated(at, [this](std::size_t place) -> MaybeReading {
      if (auto found = swap(place)) return found;
      if (auto found = lora(place)) return found;
      if (auto found = attention(place)) return found;
      if (auto found = quoted_fragment(place)) return found;
      if (auto found = bracketed(place)) return found;
      auto end = place;
      while (end < text_.size() && !is_one_of(text_[end], word_ends)) ++end;
      if (end > place) return fragment(place, end);
      if (skip(place) > place) return Reading{skip(place), {}};
      return {};
    });
  }

  /// What may stand in brackets or quotes.
  Reading fragments(std::size_t at, bool commas) {
    return repeated(at, [this, commas](std::size_t place) -> MaybeReading {
      if (auto found = lora(place)) return found;
      if (auto found = attention(place)) return found;
      if (auto found = swap(place)) return found;
      if (auto found = bracketed(place)) return found;
      if (auto found = quoted_fragment(place)) return found;
      if (auto found = word(place)) return found;
      const auto begin = skip(place);
      if (commas && begin < text_.size() && (text_[begin] == ',' || text_[begin] == '.'))
        return fragment(begin, begin + 1);
      return {};
    });
  }

  /// `( a, b ).operator( options )`, for `.and()` and `.blend()`.
  struct Operation {
    std::size_t end = 0;
    std::vector<std::vector<std::size_t>> prompts;
    std::vector<CompelOption> options;
  };
  std::optional<Operation> operation(std::size_t begin, std::initializer_list<std::string_view> names) {
    auto at = literal(begin, "(");
    if (!at) return {};
    Operation result;
    for (;;) {
      auto target = operator_target(*at);
      if (!target) target = quoted_prompt(*at);
      if (!target) {
        if (result.prompts.empty()) return {};
        break;  // the comma before it is not part of the list
      }
      result.prompts.push_back(std::move(target->nodes));
      const auto comma = literal(target->end, ",");
      at = target->end;
      if (!comma) break;
      if (!operator_target(*comma) && !quoted_prompt(*comma)) break;
      at = comma;
    }
    at = literal(*at, ")");
    if (!at) return {};
    std::optional<std::size_t> behind;
    for (const auto name : names)
      if (!behind) behind = literal(*at, name);
    if (!behind) return {};
    at = literal(*behind, "(");
    if (!at) return {};
    result.end = options(*at, result.options);
    at = literal(result.end, ")");
    if (!at) return {};
    result.end = *at;
    return result;
  }

  MaybeReading lora(std::size_t at) {
    auto next = literal(at, "useLora");
    if (!next) next = literal(at, "withLora");
    if (next) next = literal(*next, "(");
    if (!next) return {};
    const auto name = keyword(*next);
    if (!name) return {};
    CompelNode node{.kind = CompelNode::Kind::lora, .text = name->text};
    auto end = name->end;
    if (const auto comma = literal(end, ","))
      if (const auto weight = number(*comma)) {
        node.weight = weight->value;
        end = weight->end;
      }
    const auto closed = literal(end, ")");
    if (!closed) return {};
    return Reading{*closed, {add(std::move(node))}};
  }

 private:
  template <class One>
  static Reading repeated(std::size_t at, const One& one) {
    Reading result{at, {}};
    while (auto found = one(result.end)) {
      result.end = found->end;
      result.nodes.insert(result.nodes.end(), found->nodes.begin(), found->nodes.end());
    }
    return result;
  }

  std::size_t add(CompelNode node) {
    tree_.push_back(std::move(node));
    return tree_.size() - 1;
  }
  Reading fragment(std::size_t begin, std::size_t end) {
    return {end, {add({.text = as_fragment(text_.substr(begin, end - begin))})}};
  }

  std::optional<std::size_t> literal(std::size_t at, std::string_view what) const {
    at = skip(at);
    if (text_.compare(at, what.size(), what) != 0) return {};
    return at + what.size();
  }

  struct Keyword {
    std::size_t end;
    std::string text;
  };
  std::optional<Keyword> keyword(std::size_t at) const {
    const auto begin = skip(at);
    auto end = begin;
    while (end < text_.size() && is_keyword_character(text_[end])) ++end;
    if (end == begin) return {};
    return Keyword{end, text_.substr(begin, end - begin)};
  }

  struct Number {
    std::size_t end;
    double value;
  };
  /// With a point and perhaps a sign, or whole and perhaps negative.
  std::optional<Number> number(std::size_t at) const {
    const auto begin = skip(at);
    const auto digits = [&](std::size_t place) {
      while (place < text_.size() && is_ascii_digit(text_[place])) ++place;
      return place;
    };
    const bool has_sign = begin < text_.size() && (text_[begin] == '+' || text_[begin] == '-');
    const auto first = begin + (has_sign ? 1 : 0);
    auto end = digits(first);
    const bool whole = end > first;
    if (end < text_.size() && text_[end] == '.' && (whole || digits(end + 1) > end + 1))
      end = digits(end + 1);
    else if (!whole || (has_sign && text_[begin] == '+'))
      return {};
    return Number{end, python_float(text_.substr(begin, end - begin)).value_or(0.0)};
  }

  /// Options behind an operator, apart by commas; where they end.
  std::size_t options(std::size_t at, std::vector<CompelOption>& found) const {
    const auto one = [&](std::size_t place) -> std::optional<std::size_t> {
      if (const auto key = keyword(place))
        if (const auto equals = literal(key->end, "=")) {
          if (const auto value = number(*equals)) {
            found.push_back({key->text, value->value});
            return value->end;
          }
          if (const auto value = keyword(*equals)) {
            found.push_back({key->text, python_float(value->text)});
            return value->end;
          }
        }
      if (const auto value = number(place)) {
        const auto begin = skip(place);
        found.push_back({text_.substr(begin, value->end - begin)});
        return value->end;
      }
      if (const auto flag = keyword(place)) {
        found.push_back({flag->text});
        return flag->end;
      }
      return {};
    };
    auto end = at;
    for (auto next = one(at); next;) {
      end = *next;
      const auto comma = literal(end, ",");
      next = comma ? one(*comma) : std::nullopt;
    }
    return end;
  }

  /// A word without syntax.
  MaybeReading word(std::size_t at) {
    const auto begin = skip(at);
    const auto end = word_end(begin);
    if (end == begin) return {};
    return fragment(begin, end);
  }
  std::size_t word_end(std::size_t at) const {
    while (at < text_.size()) {
      const char c = text_[at];
      const bool last = at + 1 == text_.size();
      if (c == '\\' && !last && is_one_of(text_[at + 1], syntax_characters)) {
        at += 2;
      } else if (c == '-' || c == '+') {
        if (last || is_one_of(text_[at + 1], blanks) || is_one_of(text_[at + 1], syntax_characters)) break;
        ++at;
      } else if (is_one_of(c, word_ends) || is_one_of(c, syntax_characters)) {
        break;
      } else {
        ++at;
      }
    }
    return at;
  }

  /// What an operator may act on.
  MaybeReading operator_target(std::size_t at) {
    if (auto found = quoted_fragment(at)) return found;
    if (auto found = bracketed(at)) return found;
    return word(at);
  }

  /// Plus or minus signs, or a number where `numbers`: the weight.
  std::optional<Number> weight_operator(std::size_t at, bool numbers) const {
    const auto begin = skip(at);
    if (begin < text_.size() && (text_[begin] == '+' || text_[begin] == '-')) {
      auto end = begin;
      while (end < text_.size() && text_[end] == text_[begin]) ++end;
      return Number{end, std::pow(text_[begin] == '+' ? 1.1 : 0.9, static_cast<double>(end - begin))};
    }
    return numbers ? number(begin) : std::nullopt;
  }

  Reading weighted(std::vector<std::size_t> children, const Number& weight) {
    return {
        weight.end,
        {add(
            {.kind = CompelNode::Kind::attention, .weight = weight.value, .children = std::move(children)})}};
  }

  MaybeReading attention(std::size_t at) {
    return kept(attentions_, at, [this](std::size_t place) -> MaybeReading {
      if (auto target = operator_target(place)) {
        auto next = literal(target->end, ".attend");
        if (next) next = literal(*next, "(");
        if (next)
          if (auto weight = weight_operator(*next, true))
            if (const auto closed = literal(weight->end, ")")) {
              weight->end = *closed;
              return weighted(std::move(target->nodes), *weight);
            }
      }
      const auto adjoins = [this](std::size_t end) {
        return end < text_.size() && !is_one_of(text_[end], blanks);
      };
      auto target = quoted_fragment(place);
      if (!target) target = bracketed(place);
      if (target && adjoins(target->end))
        if (const auto weight = weight_operator(target->end, true))
          return weighted(std::move(target->nodes), *weight);
      const auto begin = skip(place);
      const auto end = word_end(begin);
      if (end == begin || !adjoins(end)) return {};
      const auto weight = weight_operator(end, false);
      if (!weight) return {};
      return weighted(fragment(begin, end).nodes, *weight);
    });
  }

  MaybeReading swap(std::size_t at) {
    return kept(swaps_, at, [this](std::size_t place) -> MaybeReading {
      auto target = operator_target(place);
      if (!target) return {};
      auto next = literal(target->end, ".swap");
      if (next) next = literal(*next, "(");
      if (!next) return {};
      const Deeper deeper(*this);
      auto edited = fragments(*next, false);
      std::vector<CompelOption> given;
      auto end = edited.end;
      if (const auto comma = literal(end, ",")) end = options(*comma, given);
      const auto closed = literal(end, ")");
      if (!closed) return {};
      CompelNode node{.kind = CompelNode::Kind::swap,
                      .children = std::move(target->nodes),
                      .edited = std::move(edited.nodes)};
      for (const auto& option : given)
        if (option.value) node.options[option.text] = *option.value;
      return Reading{*closed, {add(std::move(node))}};
    });
  }

  MaybeReading bracketed(std::size_t at) {
    const auto begin = skip(at);
    if (begin == text_.size() || text_[begin] != '(') return {};
    return kept(brackets_, begin, [this](std::size_t place) -> MaybeReading {
      const Deeper deeper(*this);
      auto inner = fragments(place + 1, true);
      const auto closed = literal(inner.end, ")");
      if (!closed) return {};
      return Reading{*closed, std::move(inner.nodes)};
    });
  }

  /// A text in quotes: where it ends and what it says, with its own quotes escaped again.
  struct Quoted {
    std::size_t end;
    std::string text;
  };
  std::optional<Quoted> quoted_text(std::size_t at) const {
    const auto begin = skip(at);
    if (begin == text_.size() || text_[begin] != '"') return {};
    std::size_t end = begin + 1, last_escaped = 0;
    while (end < text_.size() && text_[end] != '"' && text_[end] != '\n' && text_[end] != '\r') {
      const bool escaped = text_[end] == '\\' && end + 1 < text_.size() && text_[end + 1] == '"';
      if (escaped) last_escaped = end + 1;
      end += escaped ? 2 : 1;
    }
    if (end >= text_.size() || text_[end] != '"') {
      if (last_escaped == 0) return {};
      end = last_escaped;  // it ends the quotation, since nothing else does
    }
    auto inner = text_.substr(begin + 1, end - begin - 1);
    for (const auto& [escape, meaning] :
         {std::pair{"\\t", "\t"}, std::pair{"\\n", "\n"}, std::pair{"\\f", "\f"}, std::pair{"\\r", "\r"}})
      replace_all(inner, escape, meaning);
    replace_all(inner, "\\\"", "\"");
    replace_all(inner, "\"", "\\\"");
    return Quoted{end + 1, std::move(inner)};
  }

  template <class Read>
  MaybeReading quoted(std::size_t at, const Read& read) {
    auto found = quoted_text(at);
    if (!found) return {};
    const auto characters = decode_utf8(found->text);
    if (without_blank_end(characters).empty()) return Reading{found->end, {add({})}};
    CompelReader inner(std::move(found->text), tree_);
    inner.depth_ = depth_;
    auto reading = read(inner);
    if (!inner.at_end(reading.end)) return {};
    return Reading{found->end, std::move(reading.nodes)};
  }
  MaybeReading quoted_fragment(std::size_t at) {
    const auto begin = skip(at);
    if (begin == text_.size() || text_[begin] != '"') return {};
    return kept(quotes_, begin, [this](std::size_t place) {
      return quoted(place, [](CompelReader& inner) { return inner.fragments(0, true); });
    });
  }
  MaybeReading quoted_prompt(std::size_t at) {
    return quoted(at, [](CompelReader& inner) { return inner.prompt(0); });
  }

  using Kept = std::unordered_map<std::size_t, MaybeReading>;
  template <class Read>
  MaybeReading kept(Kept& before, std::size_t at, const Read& read) {
    if (const auto found = before.find(at); found != before.end()) return found->second;
    auto reading = read(at);
    before.emplace(at, reading);
    return reading;
  }

  /// One level of brackets, while it lives.
  class Deeper {
   public:
    explicit Deeper(CompelReader& reader) : reader_(reader) {
      constexpr int deepest = 100;
      if (++reader_.depth_ > deepest)
        throw ArgumentError(prompt_name, "brackets are nested deeper than " + std::to_string(deepest));
    }
    ~Deeper() { --reader_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    CompelReader& reader_;
  };

  const std::string text_;
  CompelTree& tree_;
  int depth_ = 0;
  Kept attentions_, swaps_, brackets_, quotes_;
};

}  // namespace daguerre::text::compel
