#include "text/jinja/lexer.hpp"

#include <algorithm>
#include <array>

#include "daguerre/text/unicode.hpp"
#include "text/jinja/value.hpp"

namespace daguerre::text::jinja {
namespace {

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

std::string with_plain_newlines(std::string_view source) {
  std::string result;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    result += source[i] == '\r' ? '\n' : source[i];
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const auto tag = next_tag();
      read_text(tag);
      if (tag == source_.npos) break;
      read_tag();
    }
    add(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string what) const { throw SyntaxFault{line_, std::move(what)}; }

  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  bool begins(std::string_view text) const { return std::string_view(source_).substr(at_).starts_with(text); }
  void move(std::size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count), '\n'));
    at_ += count;
  }
  void skip_blanks() {
    std::size_t count = 0;
    while (is_blank(peek(count))) ++count;
    move(count);
  }

  std::size_t next_tag() const {
    for (auto i = source_.find('{', at_); i != source_.npos; i = source_.find('{', i + 1))
      if (i + 1 < source_.size() && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#'))
        return i;
    return source_.npos;
  }

  /// What stands before a tag, without what the tag takes of it.
  void read_text(std::size_t tag) {
    const auto end = std::min(tag, source_.size());
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    const char sign = tag != source_.npos && tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (sign == '-')
      text = without_blank_end(text);
    else if (tag != source_.npos && sign != '+' && source_[tag + 1] != '{')
      text = without_indent(text);
    if (!text.empty()) add(Token::Kind::text, std::string(text));
    move(end - at_);
  }
  static std::string_view without_blank_end(std::string_view text) {
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
  }
  /// Without the blanks behind its last newline, where there is nothing else.
  std::string_view without_indent(std::string_view text) const {
    const auto newline = text.rfind('\n');
    const auto begin = newline == text.npos ? 0 : newline + 1;
    if (begin == 0 && !begins_line_) return text;
    return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(), is_blank)
               ? text.substr(0, begin)
               : text;
  }

  void read_tag() {
    const char kind = source_[at_ + 1];
    if (kind == '#') return read_comment();
    const bool prints = kind == '{';
    const int begun = line_;
    move(2);
    if (peek() == '-' || (peek() == '+' && !prints)) move(1);
    if (!prints && read_raw()) return;
    add(prints ? Token::Kind::print_begin : Token::Kind::statement_begin, "");
    open_.clear();
    for (;;) {
      skip_blanks();
      if (at_ >= source_.size())
        throw SyntaxFault{begun, prints ? "'{{' is not closed" : "'{%' is not closed"};
      if (open_.empty() && read_end(prints ? "}}" : "%}", !prints)) break;
      read_token();
    }
    add(prints ? Token::Kind::print_end : Token::Kind::statement_end, "");
  }

  /// `end`, with its sign and what it takes of the text behind it; false where it is not here.
  bool read_end(std::string_view end, bool trims) {
    const char sign = peek();
    const bool has_sign = sign == '-' || (sign == '+' && trims);
    if (!std::string_view(source_).substr(at_ + (has_sign ? 1 : 0)).starts_with(end)) return false;
    move(end.size() + (has_sign ? 1 : 0));
    const auto before = at_;
    if (has_sign && sign == '-')
      skip_blanks();
    else if (trims && !has_sign && peek() == '\n')
      move(1);
    begins_line_ = at_ > before && source_[at_ - 1] == '\n';
    return true;
  }

  void read_comment() {
    const int begun = line_;
    move(2);
    auto end = source_.find("#}", at_);
    if (end == source_.npos) throw SyntaxFault{begun, "'{#' is not closed"};
    if (end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+')) --end;
    move(end - at_);
    (void)read_end("#}", true);
  }

  /// `{% raw %}` to `{% endraw %}`, whose text is taken as it is.
  bool read_raw() {
    const auto begin = at_;
    const int line = line_;
    const auto takes = [&](std::string_view word) {
      skip_blanks();
      if (!begins(word) || begins_name(peek(word.size())) || is_digit(peek(word.size()))) return false;
      move(word.size());
      skip_blanks();
      return true;
    };
    if (!takes("raw") || !read_end("%}", true)) {
      at_ = begin;
      line_ = line;
      return false;
    }
    const auto text_begin = at_;
    const int text_line = line_;
    // What is looked at of one tag ends before the next one, so that nothing is read twice.
    for (auto tag = source_.find("{%", at_); tag != source_.npos; tag = source_.find("{%", tag + 2)) {
      move(tag - at_ + 2);
      if (peek() == '-' || peek() == '+') move(1);
      if (!takes("endraw") || !read_end("%}", true)) continue;
      auto text = std::string_view(source_).substr(text_begin, tag - text_begin);
      const char sign = source_[tag + 2];
      text = sign == '-' ? without_blank_end(text) : sign == '+' ? text : without_indent(text);
      if (!text.empty()) tokens_.push_back({Token::Kind::text, std::string(text), text_line});
      return true;
    }
    throw SyntaxFault{line, "'{% raw %}' has no '{% endraw %}'"};
  }

  void read_token() {
    const char c = peek();
    if (c == '"' || c == '\'') return read_string(c);
    if (is_digit(c)) return read_number();
    if (begins_name(c)) {
      std::size_t size = 1;
      while (begins_name(peek(size)) || is_digit(peek(size))) ++size;
      add(Token::Kind::name, source_.substr(at_, size));
      return move(size);
    }
    static constexpr std::array<std::string_view, 27> symbols = {
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">",
        "=",  "(",  ")",  "[",  "]",  "{",  "}", ".", ":", "|", ",", ";", "!"};
    for (const auto symbol : symbols) {
      if (!begins(symbol)) continue;
      if (symbol == "(" || symbol == "[" || symbol == "{") open_ += c;
      if (symbol == ")" || symbol == "]" || symbol == "}") {
        const char partner = c == ')' ? '(' : c == ']' ? '[' : '{';
        if (open_.empty() || open_.back() != partner) fail(std::string("'") + c + "' closes nothing");
        open_.pop_back();
      }
      add(Token::Kind::symbol, std::string(symbol));
      return move(symbol.size());
    }
    fail("an unexpected character " + std::to_string(static_cast<unsigned char>(c)));
  }

  void read_number() {
    std::size_t size = 0;
    std::string digits;
    const auto take_digits = [&] {
      while (is_digit(peek(size)) || (peek(size) == '_' && is_digit(peek(size + 1)))) {
        if (peek(size) != '_') digits += peek(size);
        ++size;
      }
    };
    take_digits();
    bool whole = true;
    if (peek(size) == '.' && is_digit(peek(size + 1))) {
      whole = false;
      digits += '.';
      ++size;
      take_digits();
    }
    const std::size_t sign = peek(size + 1) == '-' || peek(size + 1) == '+' ? 1 : 0;
    if ((peek(size) == 'e' || peek(size) == 'E') && is_digit(peek(size + 1 + sign))) {
      whole = false;
      digits += source_.substr(at_ + size, 1 + sign);
      size += 1 + sign;
      take_digits();
    }
    add(whole ? Token::Kind::integer : Token::Kind::fraction, digits);
    move(size);
  }

  void read_string(char quote) {
    const int begun = line_;
    std::size_t i = at_ + 1;
    std::string text;
    for (; i < source_.size() && source_[i] != quote; ++i) {
      if (source_[i] != '\\')
        text += source_[i];
      else if (++i < source_.size())
        i = add_escape(text, i);
    }
    if (i >= source_.size()) throw SyntaxFault{begun, "a string is not closed"};
    add(Token::Kind::string, std::move(text));
    move(i + 1 - at_);
  }

  /// Python's escapes; `i` is at the character behind the backslash, what is returned at the last one taken.
  std::size_t add_escape(std::string& text, std::size_t i) {
    static constexpr std::string_view names = "n\nr\rt\tb\bf\fv\va\a\\\\''\"\"";
    const char c = source_[i];
    if (c == '\n') return i;
    for (std::size_t k = 0; k < names.size(); k += 2)
      if (names[k] == c) {
        text += names[k + 1];
        return i;
      }
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const bool octal = c >= '0' && c <= '7';
    if (digits == 0 && !octal) {
      text += '\\';
      text += c;
      return i;
    }
    std::uint32_t code = 0;
    std::size_t count = 0, k = octal ? i : i + 1;
    for (; count < (octal ? 3 : digits) && k < source_.size(); ++count, ++k) {
      const char d = source_[k];
      const int value = is_digit(d)            ? d - '0'
                        : d >= 'a' && d <= 'f' ? d - 'a' + 10
                        : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                               : 99;
      if (value >= (octal ? 8 : 16)) break;
      code = code * (octal ? 8 : 16) + static_cast<std::uint32_t>(value);
    }
    if ((!octal && count < digits) || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      fail(std::string("a string has a bad escape \\") + c);
    append_utf8(text, static_cast<char32_t>(code));
    return k - 1;
  }

  std::string source_;
  std::vector<Token> tokens_;
  std::string open_;  ///< brackets that are open in a tag
  std::size_t at_ = 0;
  int line_ = 1;
  bool begins_line_ = true;  ///< what follows the last tag begins a line
};

}  // namespace

std::vector<Token> tokens_of(std::string_view source) {
  return Lexer(with_plain_newlines(source)).run();
}

}  // namespace daguerre::text::jinja
