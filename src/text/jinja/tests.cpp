#include "text/jinja/evaluator.hpp"
#include "text/jinja/strings.hpp"

/// What stands behind `is`.
namespace daguerre::text::jinja {

std::optional<bool> apply_test(std::string_view name, const Value& value, Arguments& arguments,
                               Meter& meter) {
  const auto other = [&] { return arguments.require(0, "other"); };
  const auto whole = [&](const Value& number) {
    const auto result = number.as_integer();
    if (!result) throw Fault("the test " + std::string(name) + " needs whole numbers");
    return *result;
  };
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "string") return value.string() != nullptr;
  if (name == "mapping") return value.dict() != nullptr;
  if (name == "sequence") return value.string() || value.list() || value.dict();
  if (name == "iterable") return value.string() || value.list() || value.dict() || value.is_undefined();
  if (name == "boolean") return value.boolean() != nullptr;
  if (name == "true") return value.boolean() != nullptr && *value.boolean();
  if (name == "false") return value.boolean() != nullptr && !*value.boolean();
  if (name == "integer") return value.integer() != nullptr;
  if (name == "float") return value.fraction() != nullptr;
  if (name == "number") return value.as_number().has_value();
  if (name == "callable") return value.object() != nullptr && value.object()->callable();
  if (name == "odd") return whole(value) % 2 != 0;
  if (name == "even") return whole(value) % 2 == 0;
  if (name == "divisibleby") {
    const auto divisor = whole(other());
    if (divisor == 0) throw Fault("division by zero");
    return divisor == -1 || whole(value) % divisor == 0;
  }
  if (name == "eq" || name == "equalto" || name == "==") return equal(value, other(), meter);
  if (name == "ne" || name == "!=") return !equal(value, other(), meter);
  if (name == "lt" || name == "lessthan") return less(value, other(), meter);
  if (name == "gt" || name == "greaterthan") return less(other(), value, meter);
  if (name == "le") return !less(other(), value, meter);
  if (name == "ge") return !less(value, other(), meter);
  if (name == "in") return contains(other(), value, meter);
  if (name == "sameas") {
    const auto same = other();
    return std::string_view(same.kind()) == value.kind() && equal(value, same, meter);
  }
  if (name == "lower" || name == "upper") {
    const auto text = to_text(value, meter);
    const auto small = lowered(text), large = uppered(text);
    return small != large && text == (name == "lower" ? small : large);
  }
  return std::nullopt;
}

}  // namespace daguerre::text::jinja
