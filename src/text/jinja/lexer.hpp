#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace daguerre::text::jinja {

/// A piece of a template.
struct Token {
  enum class Kind {
    text,             ///< what stands outside of tags
    print_begin,      ///< `{{`
    print_end,        ///< `}}`
    statement_begin,  ///< `{%`
    statement_end,    ///< `%}`
    name,
    string,
    integer,
    fraction,
    symbol,  ///< `+`, `==`, `(` …
    end
  };
  Kind kind = Kind::end;
  std::string text;
  int line = 1;

  bool is(Kind other, std::string_view value) const { return kind == other && text == value; }
};

/// A template is wrong at a line.
struct SyntaxFault {
  int line;
  std::string what;
};

/// Cuts a template into tokens, as jinja2 does with trim_blocks and lstrip_blocks, which is how transformers
/// reads chat templates: a newline behind a statement or comment goes, and so do the blanks before one at the
/// beginning of a line; `-` takes all white space, `+` keeps it; one newline at the very end goes. Throws
/// SyntaxFault.
std::vector<Token> tokens_of(std::string_view source);

}  // namespace daguerre::text::jinja
