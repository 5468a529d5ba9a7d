#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.hpp"
#include "text/jinja/lexer.hpp"

namespace daguerre::text::jinja {

/// Reads expressions from tokens; jinja2's grammar and precedence.
class ExpressionParser {
 public:
  /// `tokens` stay where they are. Expressions are at most `most` deep.
  ExpressionParser(const std::vector<Token>& tokens, int most) : tokens_(tokens), most_(most) {}

  const Token& peek() const { return tokens_[at_]; }
  const Token& next();
  bool take(Token::Kind kind, std::string_view text);
  /// Throws SyntaxFault where the next token is of another kind.
  const Token& expect(Token::Kind kind, const char* what);
  std::string name();
  [[noreturn]] void fail(std::string what) const;

  Expression expression();
  /// Several with commas between them are a list.
  Expression tuple();
  /// The same without `a if b`, for `{% for x in y if z %}`.
  Expression tuple_without_condition();
  Expression constant(Value value) const;
  /// `| a | b` behind `inner`; `filter_chain` begins with the first name.
  Expression filters(Expression inner);
  Expression filter_chain(Expression inner);

 private:
  /// Keeps count of how deep the parser is itself.
  class Level;

  Expression make(Expression::Kind kind, std::vector<Expression> items, std::string text = {}) const;
  Expression tuple_of(bool conditions);
  Expression conditional();
  Expression disjunction();
  Expression conjunction();
  Expression negation();
  Expression comparison();
  Expression sum();
  Expression concatenation();
  Expression product();
  Expression power();
  Expression unary(bool with_filters);
  Expression primary();
  Expression bracketed();
  Expression postfix(Expression inner);
  Expression subscript(Expression inner);
  Expression filters_and_tests(Expression inner);
  Expression test(Expression inner);
  void arguments(Expression& call);
  bool at_symbol(std::string_view text) const { return peek().is(Token::Kind::symbol, text); }
  bool at_name(std::string_view text) const { return peek().is(Token::Kind::name, text); }
  void expect_symbol(std::string_view text);

  const std::vector<Token>& tokens_;
  int most_;
  int depth_ = 0;
  std::size_t at_ = 0;
};

}  // namespace daguerre::text::jinja
