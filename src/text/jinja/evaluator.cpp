#include "text/jinja/evaluator.hpp"

#include <algorithm>

namespace daguerre::text::jinja {
namespace {

using ExpressionKind = Expression::Kind;
using StatementKind = Statement::Kind;

/// The names of one scope. Looking for one is work: there may be many.
struct Scope {
  const Scope* parent = nullptr;
  std::vector<std::pair<std::string, Value>> names{};

  const Value* find(const std::string& name, Meter& meter) const {
    for (const auto* scope = this; scope != nullptr; scope = scope->parent) {
      meter.work(scope->names.size());
      for (const auto& entry : scope->names)
        if (entry.first == name) return &entry.second;
    }
    return nullptr;
  }
  void set(const std::string& name, Value value, Meter& meter) {
    meter.work(names.size());
    for (auto& entry : names)
      if (entry.first == name) {
        entry.second = std::move(value);
        return;
      }
    names.emplace_back(name, std::move(value));
  }
};

/// The variable `loop`.
class Loop final : public Object {
 public:
  Loop(const List& items, int depth) : items_(items), depth_(depth) {}
  void move_to(std::size_t index) { index_ = index; }
  const char* kind() const noexcept override { return "loop"; }
  std::optional<Value> attribute(std::string_view name, Meter& meter) const override;
  bool changed(const Value& value, Meter& meter) const {
    if (value.object() != nullptr)
      throw Fault(std::string("loop.changed does not compare a ") + value.kind());
    const bool same = last_ && equal(*last_, value, meter);
    last_ = value;
    return !same;
  }
  std::size_t index() const { return index_; }

 private:
  const List& items_;
  int depth_;
  std::size_t index_ = 0;
  mutable std::optional<Value> last_;
};

/// A function that is something C++ calls.
class Function final : public Object {
 public:
  using Body = std::function<Value(Arguments, Meter&)>;
  explicit Function(Body body) : body_(std::move(body)) {}
  const char* kind() const noexcept override { return "function"; }
  bool callable() const noexcept override { return true; }
  Value call(Arguments arguments, Meter& meter) const override { return body_(std::move(arguments), meter); }

 private:
  Body body_;
};

Value function(Function::Body body) {
  return Value(std::static_pointer_cast<Object>(std::make_shared<Function>(std::move(body))));
}

std::optional<Value> Loop::attribute(std::string_view name, Meter&) const {
  const auto whole = [](std::size_t number) { return Value(static_cast<std::int64_t>(number)); };
  const auto size = items_.size();
  if (name == "index0") return whole(index_);
  if (name == "index") return whole(index_ + 1);
  if (name == "revindex0") return whole(size - index_ - 1);
  if (name == "revindex") return whole(size - index_);
  if (name == "first") return Value(index_ == 0);
  if (name == "last") return Value(index_ + 1 == size);
  if (name == "length") return whole(size);
  if (name == "depth") return Value(std::int64_t{depth_});
  if (name == "depth0") return Value(std::int64_t{depth_ - 1});
  if (name == "previtem") return index_ > 0 ? items_[index_ - 1] : Value::undefined("loop.previtem");
  if (name == "nextitem") return index_ + 1 < size ? items_[index_ + 1] : Value::undefined("loop.nextitem");
  if (name == "cycle")
    return function([index = index_](Arguments arguments, Meter&) {
      if (arguments.positional.empty()) throw Fault("loop.cycle has nothing to go round");
      return arguments.positional[index % arguments.positional.size()];
    });
  if (name == "changed")
    return function([this](Arguments arguments, Meter& meter) {
      return Value(changed(arguments.require(0, "value"), meter));
    });
  return std::nullopt;
}

/// How a statement ended.
enum class Flow { on, leave, proceed };

class Evaluator {
 public:
  Evaluator(const std::tm& now, const RenderLimits& limits)
      : now_(now), meter_(limits.steps, limits.bytes), output_limit_(limits.output) {}

  std::string run(const Body& body, const Dict& variables) {
    Scope scope;
    for (const auto& [name, value] : variables) scope.set(*name.string(), value, meter_);
    std::string out;
    try {
      run(body, scope, out);
    } catch (const Fault& fault) {
      throw RenderFault{line_, fault.what(), fault.refused()};
    }
    return out;
  }

 private:
  static constexpr int max_depth = 400;

  /// Counts what is under way, so that the stack does not run out.
  class Level {
   public:
    explicit Level(int& depth) : depth_(depth) {
      if (++depth_ > max_depth) {
        --depth_;
        throw Fault("calls are nested too deeply");
      }
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int& depth_;
  };

  void add(std::string& out, const std::string& text) {
    meter_.work(text.size());
    if (out.size() + text.size() > output_limit_) throw Fault("makes more text than is allowed");
    out += text;
  }

  Flow run(const Body& body, Scope& scope, std::string& out) {
    for (const auto& statement : body)
      if (const auto flow = run(statement, scope, out); flow != Flow::on) return flow;
    return Flow::on;
  }

  Flow run(const Statement& statement, Scope& scope, std::string& out) {
    const Level level(depth_);
    meter_.step();
    line_ = statement.line;
    switch (statement.kind) {
      case StatementKind::text:
        add(out, statement.text);
        break;
      case StatementKind::print:
        add(out, to_text(value_of(statement.expressions[0], scope), meter_));
        break;
      case StatementKind::choice:
        return choose(statement, scope, out);
      case StatementKind::loop:
        return loop(statement, scope, out);
      case StatementKind::assign:
        assign(statement.targets[0], value_of(statement.expressions[0], scope), scope);
        break;
      case StatementKind::assign_block: {
        Value text = captured(statement.bodies[0], scope);
        if (!statement.expressions.empty()) text = filtered(statement.expressions[0], std::move(text), scope);
        assign(statement.targets[0], std::move(text), scope);
        break;
      }
      case StatementKind::macro:
        scope.set(statement.text, macro_of(statement, scope, {}), meter_);
        break;
      case StatementKind::call: {
        const auto& call = statement.expressions[0];
        add(out, to_text(called(call, scope, macro_of(statement, scope, "caller")), meter_));
        break;
      }
      case StatementKind::filter:
        add(out,
            to_text(filtered(statement.expressions[0], captured(statement.bodies[0], scope), scope), meter_));
        break;
      case StatementKind::scope: {
        Scope inner{&scope};
        for (std::size_t i = 0; i < statement.targets.size(); ++i)
          assign(statement.targets[i], value_of(statement.expressions[i], scope), inner);
        return run(statement.bodies[0], inner, out);
      }
      case StatementKind::leave:
        return Flow::leave;
      case StatementKind::proceed:
        return Flow::proceed;
    }
    return Flow::on;
  }

  Flow choose(const Statement& statement, Scope& scope, std::string& out) {
    std::size_t i = 0;
    while (i < statement.expressions.size() && !is_true(value_of(statement.expressions[i], scope))) ++i;
    return i < statement.bodies.size() ? run(statement.bodies[i], scope, out) : Flow::on;
  }

  Flow loop(const Statement& statement, Scope& scope, std::string& out) {
    const auto& target = statement.targets[0];
    List items = elements(value_of(statement.expressions[0], scope), meter_);
    if (statement.expressions.size() > 1) {
      List kept;
      for (auto& item : items) {
        meter_.step();
        Scope inner{&scope};
        assign(target, item, inner);
        if (is_true(value_of(statement.expressions[1], inner))) kept.push_back(std::move(item));
      }
      items = std::move(kept);
    }
    if (items.empty()) {
      if (statement.bodies.size() < 2) return Flow::on;
      Scope inner{&scope};
      return run(statement.bodies[1], inner, out);
    }
    ++loop_depth_;
    const auto state = std::make_shared<Loop>(items, loop_depth_);
    for (std::size_t i = 0; i < items.size(); ++i) {
      meter_.step();
      state->move_to(i);
      Scope inner{&scope};
      inner.set("loop", Value(std::static_pointer_cast<Object>(state)), meter_);
      assign(target, items[i], inner);
      if (run(statement.bodies[0], inner, out) == Flow::leave) break;
    }
    --loop_depth_;
    return Flow::on;
  }

  void assign(const Target& target, Value value, Scope& scope) {
    if (!target.attribute.empty()) {
      const auto* space = scope.find(target.names[0], meter_);
      if (space == nullptr || !set_attribute(*space, target.attribute, std::move(value), meter_))
        throw Fault("'" + target.names[0] + "' is no namespace, whose attributes could be set");
      return;
    }
    if (target.names.size() == 1) return scope.set(target.names[0], std::move(value), meter_);
    const auto items = elements(value, meter_);
    if (items.size() != target.names.size())
      throw Fault("there are " + std::to_string(items.size()) + " values for " +
                  std::to_string(target.names.size()) + " names");
    for (std::size_t i = 0; i < items.size(); ++i) scope.set(target.names[i], items[i], meter_);
  }

  Value captured(const Body& body, Scope& scope) {
    Scope inner{&scope};
    std::string text;
    run(body, inner, text);
    return text;
  }

  /// The function that a macro is, or that a call hands over as `caller`. It is only called while `scope` is
  /// there: nothing that outlives the scope can hold it.
  Value macro_of(const Statement& statement, const Scope& scope, const char* name) {
    return function([this, &statement, &scope, name](Arguments arguments, Meter&) {
      const Level level(depth_);
      const int line = line_;
      Scope inner{&scope};
      const std::string called = name != nullptr ? name : statement.text;
      if (const auto caller =
              arguments.named.empty() ? std::nullopt : arguments.take(arguments.positional.size(), "caller"))
        inner.set("caller", *caller, meter_);
      for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
        const auto& parameter = statement.parameters[i];
        if (auto value = arguments.take(i, parameter.name))
          inner.set(parameter.name, *value, meter_);
        else if (!parameter.fallback.empty())
          inner.set(parameter.name, value_of(parameter.fallback[0], inner), meter_);
        else
          inner.set(parameter.name, Value::undefined("parameter '" + parameter.name + "'"), meter_);
      }
      arguments.finish(called);
      std::string text;
      run(statement.bodies[0], inner, text);
      line_ = line;
      return Value(std::move(text));
    });
  }

  Arguments arguments_of(const Expression& expression, const Scope& scope) {
    Arguments result;
    for (std::size_t i = 1; i < expression.items.size(); ++i)
      result.positional.push_back(value_of(expression.items[i], scope));
    for (std::size_t i = 0; i < expression.named.size(); ++i)
      result.named.emplace_back(expression.names[i], value_of(expression.named[i], scope));
    meter_.work((result.positional.size() + result.named.size()) * sizeof(Value));
    return result;
  }

  Value called(const Expression& expression, const Scope& scope, std::optional<Value> caller = std::nullopt) {
    const Value callee = value_of(expression.items[0], scope);
    auto arguments = arguments_of(expression, scope);
    if (caller) arguments.named.emplace_back("caller", *caller);
    line_ = expression.line;
    if (callee.is_undefined()) throw Fault(callee.undefined_what() + " is undefined");
    if (callee.object() == nullptr || !callee.object()->callable())
      throw Fault(std::string("a ") + callee.kind() + " cannot be called");
    return callee.object()->call(std::move(arguments), meter_);
  }

  /// A chain of filters whose first operand is `value`.
  Value filtered(const Expression& expression, Value value, const Scope& scope) {
    if (expression.kind != ExpressionKind::filter) return value;
    return filter(expression, filtered(expression.items[0], std::move(value), scope), scope);
  }

  Value filter(const Expression& expression, const Value& value, const Scope& scope) {
    auto arguments = arguments_of(expression, scope);
    line_ = expression.line;
    auto result = apply_filter(expression.text, value, arguments, meter_);
    if (!result) throw Fault("there is no filter \"" + expression.text + "\"");
    arguments.finish("the filter " + expression.text);
    return *result;
  }

  Value test(const Expression& expression, const Scope& scope) {
    const Value value = value_of(expression.items[0], scope);
    auto arguments = arguments_of(expression, scope);
    const auto result = apply_test(expression.text, value, arguments, meter_);
    if (!result) throw Fault("there is no test \"" + expression.text + "\"");
    arguments.finish("the test " + expression.text);
    return *result;
  }

  bool compare(const std::string& sign, const Value& a, const Value& b) {
    if (sign == "==") return equal(a, b, meter_);
    if (sign == "!=") return !equal(a, b, meter_);
    if (sign == "<") return less(a, b, meter_);
    if (sign == ">") return less(b, a, meter_);
    if (sign == "<=") return less(a, b, meter_) || equal(a, b, meter_);
    if (sign == ">=") return less(b, a, meter_) || equal(a, b, meter_);
    return contains(b, a, meter_) == (sign == "in");
  }

  Value value_of(const Expression& expression, const Scope& scope) {
    const Level level(depth_);
    meter_.step();
    line_ = expression.line;
    const auto item = [&](std::size_t i) { return value_of(expression.items[i], scope); };
    switch (expression.kind) {
      case ExpressionKind::constant:
        return expression.value;
      case ExpressionKind::name: {
        if (const auto* found = scope.find(expression.text, meter_)) return *found;
        if (auto found = global_function(expression.text, now_)) return *found;
        return Value::undefined("'" + expression.text + "'");
      }
      case ExpressionKind::list: {
        List items;
        for (std::size_t i = 0; i < expression.items.size(); ++i) items.push_back(item(i));
        meter_.work(items.size() * sizeof(Value));
        return items;
      }
      case ExpressionKind::dict:
        return dict_of(expression, scope);
      case ExpressionKind::attribute:
        return attribute_of(item(0), expression.text, meter_);
      case ExpressionKind::subscript:
        return item_of(item(0), item(1), meter_);
      case ExpressionKind::slice:
        return slice_of(item(0), item(1), item(2), item(3), meter_);
      case ExpressionKind::call:
        return called(expression, scope);
      case ExpressionKind::filter:
        return filter(expression, item(0), scope);
      case ExpressionKind::test:
        return test(expression, scope);
      case ExpressionKind::negate:
        return arithmetic("-", std::int64_t{0}, item(0), meter_);
      case ExpressionKind::plus:
        return arithmetic("+", std::int64_t{0}, item(0), meter_);
      case ExpressionKind::logical_not:
        return !is_true(item(0));
      case ExpressionKind::logical_and:
      case ExpressionKind::logical_or: {
        const bool ends_at = expression.kind == ExpressionKind::logical_or;
        Value value;
        for (std::size_t i = 0; i < expression.items.size(); ++i) {
          value = item(i);
          if (is_true(value) == ends_at) break;
        }
        return value;
      }
      case ExpressionKind::arithmetic: {
        const Value left = item(0), right = item(1);
        return arithmetic(expression.text, left, right, meter_);
      }
      case ExpressionKind::comparison: {
        Value left = item(0);
        for (std::size_t i = 0; i < expression.operators.size(); ++i) {
          Value right = item(i + 1);
          if (!compare(expression.operators[i], left, right)) return false;
          left = std::move(right);
        }
        return true;
      }
      case ExpressionKind::concat: {
        std::string text;
        for (std::size_t i = 0; i < expression.items.size(); ++i) text += to_text(item(i), meter_);
        return text;
      }
      case ExpressionKind::conditional:
        if (is_true(item(1))) return item(0);
        return expression.items.size() > 2 ? item(2) : Value::undefined("what has no else");
    }
    return {};
  }

  Value dict_of(const Expression& expression, const Scope& scope) {
    Dict items;
    for (std::size_t i = 0; i < expression.items.size(); i += 2) {
      Value key = value_of(expression.items[i], scope), value = value_of(expression.items[i + 1], scope);
      const auto same = std::find_if(items.begin(), items.end(),
                                     [&](const auto& entry) { return equal(entry.first, key, meter_); });
      if (same != items.end())
        same->second = std::move(value);
      else
        items.emplace_back(std::move(key), std::move(value));
    }
    meter_.work(items.size() * 2 * sizeof(Value));
    return items;
  }

  const std::tm& now_;
  Meter meter_;
  std::size_t output_limit_;
  int line_ = 1, depth_ = 0, loop_depth_ = 0;
};

}  // namespace

std::string render_template(const Body& body, const Dict& variables, const std::tm& now,
                            const RenderLimits& limits) {
  return Evaluator(now, limits).run(body, variables);
}

}  // namespace daguerre::text::jinja
