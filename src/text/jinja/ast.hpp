#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.hpp"

namespace daguerre::text::jinja {

/// An expression.
struct Expression {
  enum class Kind {
    constant,     // value
    name,         // text
    list,         // items
    dict,         // items: key, value, key, value …
    attribute,    // items[0] . text
    subscript,    // items[0] [ items[1] ]
    slice,        // items[0] [ items[1] : items[2] : items[3] ], what is left out is a constant None
    call,         // items[0] ( the rest, named )
    filter,       // items[0] | text ( the rest, named )
    test,         // items[0] is text ( the rest, named )
    negate,       // - items[0]
    plus,         // + items[0]
    logical_not,  // not items[0]
    logical_and,
    logical_or,
    arithmetic,  // items[0] text items[1]
    comparison,  // items[0] operators[0] items[1] operators[1] …
    concat,      // items[0] ~ items[1] ~ …
    conditional  // items[0] if items[1] else items[2]; two items: undefined otherwise
  };
  Kind kind = Kind::constant;
  int line = 1;
  int depth = 1;
  std::string text;
  Value value;
  std::vector<Expression> items;
  std::vector<Expression> named;   ///< arguments with names
  std::vector<std::string> names;  ///< those
  std::vector<std::string> operators;
};

/// Where an assignment goes: one name, several, or an attribute of a namespace.
struct Target {
  std::vector<std::string> names;
  std::string attribute;  ///< of names[0]
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  std::string name;
  std::vector<Expression> fallback;  ///< one or none
};

/// A statement, or text.
struct Statement {
  enum class Kind {
    text,          // text
    print,         // expressions[0]
    choice,        // if expressions[i] then bodies[i]; one body more: else
    loop,          // for target in expressions[0], if expressions[1]; bodies: loop, else
    assign,        // target = expressions[0]
    assign_block,  // target = bodies[0] through expressions[0], a filter of the constant that it gets
    macro,         // text(parameters): bodies[0]
    call,          // expressions[0], a call that gets bodies[0] as `caller`
    filter,        // bodies[0] through expressions[0]
    scope,         // bodies[0] with targets[i] = expressions[i]
    leave,         // break
    proceed        // continue
  };
  Kind kind = Kind::text;
  int line = 1;
  std::string text;
  std::vector<Target> targets;
  std::vector<Expression> expressions;
  std::vector<Body> bodies;
  std::vector<Parameter> parameters;
};

/// Reads a template. `depth` bounds how deeply expressions and statements are nested. Throws SyntaxFault.
Body parse_template(std::string_view source, int depth);

}  // namespace daguerre::text::jinja
