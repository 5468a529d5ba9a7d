#include "text/jinja/expression_parser.hpp"

#include <algorithm>
#include <charconv>

namespace daguerre::text::jinja {

using ExpressionKind = Expression::Kind;

class ExpressionParser::Level {
 public:
  explicit Level(ExpressionParser& parser) : parser_(parser) {
    if (++parser_.depth_ > parser_.most_) parser_.fail("expressions are nested too deeply");
  }
  ~Level() { --parser_.depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  ExpressionParser& parser_;
};

const Token& ExpressionParser::next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::take(Token::Kind kind, std::string_view text) {
  if (!peek().is(kind, text)) return false;
  next();
  return true;
}

const Token& ExpressionParser::expect(Token::Kind kind, const char* what) {
  if (peek().kind != kind)
    fail(std::string(what) + " was expected" +
         (peek().text.empty() ? "" : ", found \"" + peek().text.substr(0, 40) + "\""));
  return next();
}

std::string ExpressionParser::name() {
  return expect(Token::Kind::name, "a name").text;
}

void ExpressionParser::fail(std::string what) const {
  throw SyntaxFault{peek().line, std::move(what)};
}

void ExpressionParser::expect_symbol(std::string_view text) {
  if (!take(Token::Kind::symbol, text))
    fail("'" + std::string(text) + "' was expected" +
         (peek().text.empty() ? "" : ", found \"" + peek().text.substr(0, 40) + "\""));
}

Expression ExpressionParser::make(ExpressionKind kind, std::vector<Expression> items,
                                  std::string text) const {
  Expression result;
  result.kind = kind;
  result.line = items.empty() ? peek().line : items[0].line;
  for (const auto& item : items) result.depth = std::max(result.depth, item.depth + 1);
  if (result.depth > most_) fail("expressions are nested too deeply");
  result.items = std::move(items);
  result.text = std::move(text);
  return result;
}

Expression ExpressionParser::constant(Value value) const {
  auto result = make(ExpressionKind::constant, {});
  result.value = std::move(value);
  return result;
}

Expression ExpressionParser::expression() {
  const Level level(*this);
  return conditional();
}

Expression ExpressionParser::tuple() {
  return tuple_of(true);
}
Expression ExpressionParser::tuple_without_condition() {
  return tuple_of(false);
}

Expression ExpressionParser::tuple_of(bool conditions) {
  const Level level(*this);
  const auto one = [&] { return conditions ? conditional() : disjunction(); };
  auto first = one();
  if (!at_symbol(",")) return first;
  std::vector<Expression> items;
  items.push_back(std::move(first));
  while (take(Token::Kind::symbol, ",")) {
    const auto kind = peek().kind;
    if (kind == Token::Kind::print_end || kind == Token::Kind::statement_end || at_symbol(")")) break;
    items.push_back(one());
  }
  return make(ExpressionKind::list, std::move(items));
}

Expression ExpressionParser::conditional() {
  auto result = disjunction();
  while (take(Token::Kind::name, "if")) {
    std::vector<Expression> items;
    items.push_back(std::move(result));
    items.push_back(disjunction());
    if (take(Token::Kind::name, "else")) {
      const Level level(*this);
      items.push_back(conditional());
    }
    result = make(ExpressionKind::conditional, std::move(items));
  }
  return result;
}

Expression ExpressionParser::disjunction() {
  auto result = conjunction();
  if (!at_name("or")) return result;
  std::vector<Expression> items;
  items.push_back(std::move(result));
  while (take(Token::Kind::name, "or")) items.push_back(conjunction());
  return make(ExpressionKind::logical_or, std::move(items));
}

Expression ExpressionParser::conjunction() {
  auto result = negation();
  if (!at_name("and")) return result;
  std::vector<Expression> items;
  items.push_back(std::move(result));
  while (take(Token::Kind::name, "and")) items.push_back(negation());
  return make(ExpressionKind::logical_and, std::move(items));
}

Expression ExpressionParser::negation() {
  if (!take(Token::Kind::name, "not")) return comparison();
  const Level level(*this);
  std::vector<Expression> items;
  items.push_back(negation());
  return make(ExpressionKind::logical_not, std::move(items));
}

Expression ExpressionParser::comparison() {
  std::vector<Expression> items;
  items.push_back(sum());
  std::vector<std::string> operators;
  for (;;) {
    if (at_symbol("==") || at_symbol("!=") || at_symbol("<") || at_symbol("<=") || at_symbol(">") ||
        at_symbol(">=")) {
      operators.push_back(next().text);
    } else if (take(Token::Kind::name, "in")) {
      operators.emplace_back("in");
    } else if (at_name("not") && tokens_[at_ + 1].is(Token::Kind::name, "in")) {
      next();
      next();
      operators.emplace_back("not in");
    } else {
      break;
    }
    items.push_back(sum());
  }
  if (operators.empty()) return std::move(items[0]);
  auto result = make(ExpressionKind::comparison, std::move(items));
  result.operators = std::move(operators);
  return result;
}

Expression ExpressionParser::sum() {
  auto result = concatenation();
  while (at_symbol("+") || at_symbol("-")) {
    auto sign = next().text;
    std::vector<Expression> items;
    items.push_back(std::move(result));
    items.push_back(concatenation());
    result = make(ExpressionKind::arithmetic, std::move(items), std::move(sign));
  }
  return result;
}

Expression ExpressionParser::concatenation() {
  auto result = product();
  if (!at_symbol("~")) return result;
  std::vector<Expression> items;
  items.push_back(std::move(result));
  while (take(Token::Kind::symbol, "~")) items.push_back(product());
  return make(ExpressionKind::concat, std::move(items));
}

Expression ExpressionParser::product() {
  auto result = power();
  while (at_symbol("*") || at_symbol("/") || at_symbol("//") || at_symbol("%")) {
    auto sign = next().text;
    std::vector<Expression> items;
    items.push_back(std::move(result));
    items.push_back(power());
    result = make(ExpressionKind::arithmetic, std::move(items), std::move(sign));
  }
  return result;
}

Expression ExpressionParser::power() {
  auto result = unary(true);
  while (take(Token::Kind::symbol, "**")) {
    std::vector<Expression> items;
    items.push_back(std::move(result));
    items.push_back(unary(true));
    result = make(ExpressionKind::arithmetic, std::move(items), "**");
  }
  return result;
}

Expression ExpressionParser::unary(bool with_filters) {
  const Level level(*this);
  Expression result;
  if (at_symbol("-") || at_symbol("+")) {
    const auto kind = next().text == "-" ? ExpressionKind::negate : ExpressionKind::plus;
    std::vector<Expression> items;
    items.push_back(unary(false));
    result = make(kind, std::move(items));
  } else {
    result = primary();
  }
  result = postfix(std::move(result));
  return with_filters ? filters_and_tests(std::move(result)) : result;
}

Expression ExpressionParser::primary() {
  const Token& token = peek();
  if (token.kind == Token::Kind::name) {
    next();
    const auto& word = token.text;
    if (word == "true" || word == "True") return constant(true);
    if (word == "false" || word == "False") return constant(false);
    if (word == "none" || word == "None") return constant({});
    auto result = make(ExpressionKind::name, {}, word);
    result.line = token.line;
    return result;
  }
  if (token.kind == Token::Kind::string) {
    std::string text;
    while (peek().kind == Token::Kind::string) text += next().text;  // one behind another are one
    return constant(std::move(text));
  }
  if (token.kind == Token::Kind::integer || token.kind == Token::Kind::fraction) {
    next();
    const auto* begin = token.text.data();
    const auto* end = begin + token.text.size();
    if (token.kind == Token::Kind::integer) {
      std::int64_t number = 0;
      if (std::from_chars(begin, end, number).ec != std::errc())
        fail("the number " + token.text + " is too large");
      return constant(number);
    }
    double number = 0.0;
    if (std::from_chars(begin, end, number).ec != std::errc())
      fail("the number " + token.text + " is too large");
    return constant(number);
  }
  return bracketed();
}

Expression ExpressionParser::bracketed() {
  if (take(Token::Kind::symbol, "(")) {
    if (take(Token::Kind::symbol, ")")) return make(ExpressionKind::list, {});
    auto result = tuple();
    expect_symbol(")");
    return result;
  }
  if (take(Token::Kind::symbol, "[")) {
    std::vector<Expression> items;
    while (!take(Token::Kind::symbol, "]")) {
      if (!items.empty()) {
        expect_symbol(",");
        if (take(Token::Kind::symbol, "]")) break;
      }
      items.push_back(expression());
    }
    return make(ExpressionKind::list, std::move(items));
  }
  if (take(Token::Kind::symbol, "{")) {
    std::vector<Expression> items;
    while (!take(Token::Kind::symbol, "}")) {
      if (!items.empty()) {
        expect_symbol(",");
        if (take(Token::Kind::symbol, "}")) break;
      }
      items.push_back(expression());
      expect_symbol(":");
      items.push_back(expression());
    }
    return make(ExpressionKind::dict, std::move(items));
  }
  fail(peek().text.empty() ? "an expression was expected"
                           : "an expression was expected, found \"" + peek().text + "\"");
}

Expression ExpressionParser::postfix(Expression inner) {
  for (;;) {
    std::vector<Expression> items;
    if (take(Token::Kind::symbol, ".")) {
      items.push_back(std::move(inner));
      if (peek().kind == Token::Kind::integer) {
        items.push_back(primary());
        inner = make(ExpressionKind::subscript, std::move(items));
      } else {
        inner = make(ExpressionKind::attribute, std::move(items), name());
      }
    } else if (take(Token::Kind::symbol, "[")) {
      inner = subscript(std::move(inner));
    } else if (at_symbol("(")) {
      items.push_back(std::move(inner));
      inner = make(ExpressionKind::call, std::move(items));
      arguments(inner);
    } else {
      return inner;
    }
  }
}

Expression ExpressionParser::subscript(Expression inner) {
  std::vector<Expression> items;
  items.push_back(std::move(inner));
  bool slice = false;
  const auto part = [&] { items.push_back(at_symbol(":") || at_symbol("]") ? constant({}) : tuple()); };
  part();
  while (items.size() < 4 && take(Token::Kind::symbol, ":")) {
    slice = true;
    part();
  }
  expect_symbol("]");
  if (!slice) {
    if (items[1].kind == ExpressionKind::constant && items[1].value.is_none()) fail("'[]' has nothing in it");
    return make(ExpressionKind::subscript, std::move(items));
  }
  while (items.size() < 4) items.push_back(constant({}));
  return make(ExpressionKind::slice, std::move(items));
}

void ExpressionParser::arguments(Expression& call) {
  expect_symbol("(");
  for (bool first = true; !take(Token::Kind::symbol, ")"); first = false) {
    if (!first) {
      expect_symbol(",");
      if (take(Token::Kind::symbol, ")")) break;
    }
    if (at_symbol("*") || at_symbol("**")) fail("arguments by '*' are not supported");
    const bool is_named = peek().kind == Token::Kind::name && tokens_[at_ + 1].is(Token::Kind::symbol, "=");
    if (is_named) {
      call.names.push_back(name());
      next();
      call.named.push_back(expression());
      call.depth = std::max(call.depth, call.named.back().depth + 1);
    } else {
      if (!call.named.empty()) fail("an argument without a name stands behind one with a name");
      call.items.push_back(expression());
      call.depth = std::max(call.depth, call.items.back().depth + 1);
    }
  }
  if (call.depth > most_) fail("expressions are nested too deeply");
}

Expression ExpressionParser::filters(Expression inner) {
  while (take(Token::Kind::symbol, "|")) {
    std::vector<Expression> items;
    items.push_back(std::move(inner));
    inner = make(ExpressionKind::filter, std::move(items), name());
    if (at_symbol("(")) arguments(inner);
  }
  return inner;
}

Expression ExpressionParser::filter_chain(Expression inner) {
  std::vector<Expression> items;
  items.push_back(std::move(inner));
  auto first = make(ExpressionKind::filter, std::move(items), name());
  if (at_symbol("(")) arguments(first);
  return filters(std::move(first));
}

Expression ExpressionParser::filters_and_tests(Expression inner) {
  for (;;) {
    if (at_symbol("|")) {
      inner = filters(std::move(inner));
    } else if (take(Token::Kind::name, "is")) {
      inner = test(std::move(inner));
    } else if (at_symbol("(")) {
      std::vector<Expression> items;
      items.push_back(std::move(inner));
      inner = make(ExpressionKind::call, std::move(items));
      arguments(inner);
    } else {
      return inner;
    }
  }
}

Expression ExpressionParser::test(Expression inner) {
  const bool negated = take(Token::Kind::name, "not");
  std::vector<Expression> items;
  items.push_back(std::move(inner));
  auto result = make(ExpressionKind::test, std::move(items), name());
  const auto& token = peek();
  const bool ends = token.kind == Token::Kind::name &&
                    (token.text == "else" || token.text == "or" || token.text == "and" ||
                     token.text == "if" || token.text == "in" || token.text == "not" || token.text == "is");
  const bool begins = token.kind == Token::Kind::name || token.kind == Token::Kind::string ||
                      token.kind == Token::Kind::integer || token.kind == Token::Kind::fraction ||
                      at_symbol("[") || at_symbol("{");
  if (at_symbol("(")) {
    arguments(result);
  } else if (begins && !ends) {
    result.items.push_back(postfix(primary()));
    result.depth = std::max(result.depth, result.items.back().depth + 1);
  }
  if (!negated) return result;
  std::vector<Expression> whole;
  whole.push_back(std::move(result));
  return make(ExpressionKind::logical_not, std::move(whole));
}

}  // namespace daguerre::text::jinja
