#include <algorithm>
#include <array>

#include "text/jinja/ast.hpp"
#include "text/jinja/expression_parser.hpp"
#include "text/jinja/lexer.hpp"

namespace daguerre::text::jinja {
namespace {

using TokenKind = Token::Kind;

class Parser {
 public:
  Parser(std::vector<Token> tokens, int most)
      : tokens_(std::move(tokens)), reader_(tokens_, most), most_(most) {}

  Body whole() {
    auto body = read_body({});
    if (reader_.peek().kind != TokenKind::end) reader_.fail("an unexpected end of a statement");
    return body;
  }

 private:
  using Names = std::vector<std::string_view>;

  /// Up to a statement that begins with one of `ends`, whose name is then the next token.
  Body read_body(const Names& ends) {
    if (++depth_ > most_) reader_.fail("statements are nested too deeply");
    Body body;
    for (;;) {
      const Token& token = reader_.peek();
      if (token.kind == TokenKind::end) {
        if (!ends.empty())
          reader_.fail("the template ends where {% " + std::string(ends.back()) + " %} was expected");
        break;
      }
      if (token.kind == TokenKind::text) {
        body.push_back(statement(Statement::Kind::text));
        body.back().text = reader_.next().text;
      } else if (token.kind == TokenKind::print_begin) {
        reader_.next();
        body.push_back(statement(Statement::Kind::print));
        body.back().expressions.push_back(reader_.tuple());
        reader_.expect(TokenKind::print_end, "'}}'");
      } else {
        reader_.expect(TokenKind::statement_begin, "a statement");
        const Token& name = reader_.peek();
        if (name.kind != TokenKind::name) reader_.fail("a statement has no name");
        if (std::find(ends.begin(), ends.end(), name.text) != ends.end()) break;
        read_statement(body);
      }
    }
    --depth_;
    return body;
  }

  Statement statement(Statement::Kind kind) const {
    Statement result;
    result.kind = kind;
    result.line = reader_.peek().line;
    return result;
  }
  void end_statement() { reader_.expect(TokenKind::statement_end, "'%}'"); }
  /// The body up to `{% end %}`.
  Body body_until(std::string_view end) {
    end_statement();
    auto body = read_body({end});
    reader_.next();
    end_statement();
    return body;
  }

  void read_statement(Body& body) {
    const std::string name = reader_.peek().text;
    if (name == "if") return body.push_back(read_if());
    if (name == "for") return body.push_back(read_for());
    if (name == "set") return body.push_back(read_set());
    if (name == "macro") return body.push_back(read_macro());
    if (name == "call") return body.push_back(read_call());
    if (name == "filter") return body.push_back(read_filter());
    if (name == "with") return body.push_back(read_with());
    if (name == "break" || name == "continue") {
      if (loops_ == 0) reader_.fail(name + " stands outside of a loop");
      body.push_back(statement(name == "break" ? Statement::Kind::leave : Statement::Kind::proceed));
      reader_.next();
      return end_statement();
    }
    if (name == "generation") {  // marks what a model is trained on, and changes nothing
      reader_.next();
      auto inner = body_until("endgeneration");
      std::move(inner.begin(), inner.end(), std::back_inserter(body));
      return;
    }
    reader_.fail("the statement \"" + name + "\" is not known");
  }

  Statement read_if() {
    auto result = statement(Statement::Kind::choice);
    for (bool more = true; more;) {
      reader_.next();
      result.expressions.push_back(reader_.tuple());
      end_statement();
      result.bodies.push_back(read_body({"elif", "else", "endif"}));
      more = reader_.peek().text == "elif";
    }
    if (reader_.next().text == "else") {
      result.bodies.push_back(body_until("endif"));
      return result;
    }
    end_statement();
    return result;
  }

  Statement read_for() {
    auto result = statement(Statement::Kind::loop);
    reader_.next();
    result.targets.push_back(read_names());
    if (!reader_.take(TokenKind::name, "in")) reader_.fail("'in' was expected");
    result.expressions.push_back(reader_.tuple_without_condition());
    if (reader_.take(TokenKind::name, "if")) result.expressions.push_back(reader_.expression());
    if (reader_.peek().is(TokenKind::name, "recursive")) reader_.fail("recursive loops are not supported");
    end_statement();
    ++loops_;
    result.bodies.push_back(read_body({"else", "endfor"}));
    --loops_;
    if (reader_.next().text == "else")
      result.bodies.push_back(body_until("endfor"));
    else
      end_statement();
    return result;
  }

  /// "a", "a, b", "(a, b)"
  Target read_names() {
    Target target;
    const bool bracket = reader_.take(TokenKind::symbol, "(");
    do {
      if (bracket && reader_.peek().is(TokenKind::symbol, ")")) break;
      target.names.push_back(reader_.name());
    } while (reader_.take(TokenKind::symbol, ","));
    if (bracket && !reader_.take(TokenKind::symbol, ")")) reader_.fail("')' was expected");
    return target;
  }

  Statement read_set() {
    auto result = statement(Statement::Kind::assign);
    reader_.next();
    Target target = read_names();
    if (reader_.take(TokenKind::symbol, ".")) {
      if (target.names.size() != 1) reader_.fail("several attributes cannot be set at once");
      target.attribute = reader_.name();
    }
    result.targets.push_back(std::move(target));
    if (reader_.take(TokenKind::symbol, "=")) {
      result.expressions.push_back(reader_.tuple());
      end_statement();
      return result;
    }
    if (result.targets[0].names.size() != 1) reader_.fail("'=' was expected");
    result.kind = Statement::Kind::assign_block;
    if (reader_.peek().is(TokenKind::symbol, "|"))
      result.expressions.push_back(reader_.filters(reader_.constant({})));
    result.bodies.push_back(body_until("endset"));
    return result;
  }

  void read_parameters(Statement& result) {
    if (!reader_.take(TokenKind::symbol, "(")) reader_.fail("'(' was expected");
    while (!reader_.take(TokenKind::symbol, ")")) {
      Parameter parameter{reader_.name(), {}};
      if (reader_.take(TokenKind::symbol, "=")) parameter.fallback.push_back(reader_.expression());
      result.parameters.push_back(std::move(parameter));
      if (!reader_.peek().is(TokenKind::symbol, ")") && !reader_.take(TokenKind::symbol, ","))
        reader_.fail("',' or ')' was expected");
    }
  }

  /// The body of a macro, which a loop around it does not go through.
  Body macro_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    auto body = body_until(end);
    loops_ = loops;
    return body;
  }

  Statement read_macro() {
    auto result = statement(Statement::Kind::macro);
    reader_.next();
    result.text = reader_.name();
    read_parameters(result);
    result.bodies.push_back(macro_body("endmacro"));
    return result;
  }

  Statement read_call() {
    auto result = statement(Statement::Kind::call);
    reader_.next();
    if (reader_.peek().is(TokenKind::symbol, "(")) read_parameters(result);
    result.expressions.push_back(reader_.expression());
    if (result.expressions[0].kind != Expression::Kind::call) reader_.fail("{% call %} needs a call");
    result.bodies.push_back(macro_body("endcall"));
    return result;
  }

  Statement read_filter() {
    auto result = statement(Statement::Kind::filter);
    reader_.next();
    result.expressions.push_back(reader_.filter_chain(reader_.constant({})));
    result.bodies.push_back(body_until("endfilter"));
    return result;
  }

  Statement read_with() {
    auto result = statement(Statement::Kind::scope);
    reader_.next();
    while (reader_.peek().kind != TokenKind::statement_end) {
      if (!result.targets.empty() && !reader_.take(TokenKind::symbol, ",")) reader_.fail("',' was expected");
      result.targets.push_back({{reader_.name()}, {}});
      if (!reader_.take(TokenKind::symbol, "=")) reader_.fail("'=' was expected");
      result.expressions.push_back(reader_.expression());
    }
    result.bodies.push_back(body_until("endwith"));
    return result;
  }

  std::vector<Token> tokens_;
  ExpressionParser reader_;
  int most_;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source, int depth) {
  return Parser(tokens_of(source), depth).whole();
}

}  // namespace daguerre::text::jinja
