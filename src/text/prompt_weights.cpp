#include "daguerre/text/prompt_weights.hpp"

#include <optional>
#include <utility>

#include "daguerre/core/error.hpp"
#include "text/prompt_text.hpp"

namespace daguerre::text {
namespace {

constexpr double round_bracket = 1.1, square_bracket = 1 / 1.1;

/// The web UI's reading of one prompt, from left to right.
class AttentionReader {
 public:
  explicit AttentionReader(std::string_view prompt) : text_(decode_utf8(prompt)) {}

  std::vector<WeightedText> read() {
    while (at_ < text_.size()) read_one();
    for (const auto begin : round_) multiply(begin, round_bracket);
    for (const auto begin : square_) multiply(begin, square_bracket);
    std::vector<WeightedText> result;
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      if (!result.empty() && result.back().weight == weights_[i])
        result.back().text += texts_[i];
      else
        result.push_back({std::move(texts_[i]), weights_[i]});
    }
    if (result.empty()) result.push_back({"", 1.0});
    return result;
  }

 private:
  void read_one() {
    const char32_t code = text_[at_].code;
    switch (code) {
      case U'\\':
        if (at_ + 1 < text_.size() && is_special(text_[at_ + 1].code)) {
          add(to_utf8(std::span(text_).subspan(at_ + 1, 1)), 1.0);
          at_ += 2;
        } else {
          add("", 1.0);
          ++at_;
        }
        return;
      case U'(':
        round_.push_back(texts_.size());
        break;
      case U'[':
        square_.push_back(texts_.size());
        break;
      case U')':
        close(round_, round_bracket, ")");
        break;
      case U']':
        close(square_, square_bracket, "]");
        break;
      case U':':
        if (read_number()) return;
        add_text(at_, at_ + 1);
        break;
      default: {
        const auto begin = at_;
        while (at_ < text_.size() && text_[at_].code != U':' && !is_special(text_[at_].code)) ++at_;
        add_text(begin, at_);
        return;
      }
    }
    ++at_;
  }

  static bool is_special(char32_t code) {
    return code == U'\\' || code == U'(' || code == U')' || code == U'[' || code == U']';
  }

  void close(std::vector<std::size_t>& open, double factor, const char* itself) {
    if (open.empty()) {
      add(itself, 1.0);
      return;
    }
    multiply(open.back(), factor);
    open.pop_back();
  }

  /// A colon, a number and a closing bracket, with white space around the number: false where they are not
  /// there.
  bool read_number() {
    auto i = at_ + 1;
    const auto skip = [&](auto belongs) {
      while (i < text_.size() && belongs(text_[i].code)) ++i;
    };
    skip(is_blank);
    const auto begin = i;
    if (i < text_.size() && (text_[i].code == U'+' || text_[i].code == U'-')) ++i;
    const auto digits = i;
    skip([](char32_t code) { return code == U'.' || digit_value(code) >= 0; });
    const auto end = i;
    skip(is_blank);
    if (end == digits || i == text_.size() || text_[i].code != U')') return false;
    if (round_.empty()) {
      add_text(at_, i + 1);
    } else {
      const auto number = to_utf8(std::span(text_).subspan(begin, end - begin));
      const auto weight = python_float(number);
      if (!weight) throw ArgumentError(prompt_name, "the weight " + in_quotes(number) + " is no number");
      multiply(round_.back(), *weight);
      round_.pop_back();
    }
    at_ = i + 1;
    return true;
  }

  void add(std::string text, double weight) {
    texts_.push_back(std::move(text));
    weights_.push_back(weight);
  }

  /// Text as it is, but for BREAK, which goes with the white space around it.
  void add_text(std::size_t begin, std::size_t end) {
    const auto part = std::span(text_).subspan(begin, end - begin);
    std::size_t from = 0;
    for (const auto place : places_of_word(part, "BREAK")) {
      add(to_utf8(without_blank_end(part.subspan(from, place - from))), 1.0);
      add("BREAK", -1.0);
      from = place + 5;
      while (from < part.size() && is_blank(part[from].code)) ++from;
    }
    add(to_utf8(part.subspan(from)), 1.0);
  }

  void multiply(std::size_t begin, double factor) {
    if (factor == 1.0) return;
    double* const weights = weights_.data();
    const auto end = weights_.size();
    for (auto i = begin; i < end; ++i) weights[i] *= factor;
  }

  const Chars text_;
  std::size_t at_ = 0;
  std::vector<std::string> texts_;
  std::vector<double> weights_;  // apart from the texts: brackets multiply all since they were opened
  std::vector<std::size_t> round_, square_;
};

// Brackets with a backslash are out of the way while others are looked for.
constexpr char escape = '\0', escaped_close = '\1', escaped_open = '\2';

std::string with_escapes(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : ' ';
    if (text[i] == '\\' && (next == '(' || next == ')')) {
      result += {escape, next == '(' ? escaped_open : escaped_close};
      ++i;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

std::string without_escapes(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : ' ';
    if (text[i] == escape && (next == escaped_open || next == escaped_close)) {
      result.push_back(next == escaped_open ? '(' : ')');
      ++i;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

/// Bracketed groups and what is between them.
std::vector<std::string_view> bracketed_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  std::ptrdiff_t level = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') {
      if (level == 0) {
        if (i > begin) parts.push_back(text.substr(begin, i - begin));
        begin = i;
      }
      ++level;
    } else if (text[i] == ')' && --level == 0) {
      parts.push_back(text.substr(begin, i + 1 - begin));
      begin = i + 1;
    }
  }
  if (begin < text.size()) parts.push_back(text.substr(begin));
  return parts;
}

void add_comfyui(std::string_view text, double weight, int depth, std::vector<WeightedText>& result) {
  constexpr int deepest = 500;
  if (depth > deepest)
    throw ArgumentError(prompt_name, "brackets are nested deeper than " + std::to_string(deepest));
  for (auto part : bracketed_parts(text)) {
    if (part.size() < 2 || part.front() != '(' || part.back() != ')') {
      result.push_back({without_escapes(part), weight});
      continue;
    }
    part = part.substr(1, part.size() - 2);
    double inner = weight * round_bracket;
    const auto colon = part.rfind(':');
    if (colon != part.npos && colon > 0)
      if (const auto number = python_float(part.substr(colon + 1))) {
        inner = *number;
        part = part.substr(0, colon);
      }
    add_comfyui(part, inner, depth + 1, result);
  }
}

}  // namespace

std::vector<WeightedText> parse_a1111_attention(std::string_view prompt) {
  return AttentionReader(prompt).read();
}

std::vector<WeightedText> parse_comfyui_weights(std::string_view prompt) {
  std::vector<WeightedText> result;
  add_comfyui(with_escapes(prompt), 1.0, 0, result);
  return result;
}

}  // namespace daguerre::text
