#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <string_view>

#include "text/jinja/ast.hpp"

namespace daguerre::text::jinja {

struct RenderLimits {
  std::size_t steps, bytes, output;
};

/// A template failed at a line; `refused`: by itself, with raise_exception.
struct RenderFault {
  int line;
  std::string what;
  bool refused;
};

/// What a template makes of `variables`. `now` is what strftime_now writes. Throws RenderFault.
std::string render_template(const Body& body, const Dict& variables, const std::tm& now,
                            const RenderLimits& limits);

// What the evaluator looks up by name. nullopt: there is no such filter, test or method.
std::optional<Value> apply_filter(std::string_view name, const Value& value, Arguments& arguments,
                                  Meter& meter);
/// Whether `value` is what `name` says.
std::optional<bool> apply_test(std::string_view name, const Value& value, Arguments& arguments, Meter& meter);
/// Whether values of this kind have a method `name`.
bool has_method(const Value& value, std::string_view name);
Value call_method(const Value& value, std::string_view name, Arguments arguments, Meter& meter);
/// `value.name` and `value[key]`: not defined where there is none. `attribute` finds methods first.
Value attribute_of(const Value& value, const std::string& name, Meter& meter);
Value item_of(const Value& value, const Value& key, Meter& meter);
Value slice_of(const Value& value, const Value& start, const Value& stop, const Value& step, Meter& meter);
Value arithmetic(std::string_view sign, const Value& a, const Value& b, Meter& meter);
/// range, namespace, dict, raise_exception, strftime_now.
std::optional<Value> global_function(std::string_view name, const std::tm& now);
/// The attributes of a namespace.
bool set_attribute(const Value& space, const std::string& name, Value value, Meter& meter);

}  // namespace daguerre::text::jinja
