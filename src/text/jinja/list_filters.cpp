#include "text/jinja/list_filters.hpp"

#include <algorithm>
#include <charconv>

#include "text/jinja/evaluator.hpp"
#include "text/jinja/strings.hpp"

namespace daguerre::text::jinja {
namespace {

/// "a.b.0" of a value.
Value path_of(Value value, const Value& path, Meter& meter) {
  if (!path.string()) return item_of(value, path, meter);
  std::string_view rest = *path.string();
  for (;;) {
    const auto part = rest.substr(0, rest.find('.'));
    std::int64_t index = 0;
    const bool whole = !part.empty() && std::from_chars(part.data(), part.data() + part.size(), index).ptr ==
                                            part.data() + part.size();
    value = item_of(value, whole ? Value(index) : Value(std::string(part)), meter);
    if (part.size() == rest.size()) return value;
    rest.remove_prefix(part.size() + 1);
  }
}

/// What is left of the arguments from `begin` on, for a filter or test of each element.
Arguments rest_of(Arguments& arguments, std::size_t begin) {
  Arguments result;
  for (auto place = begin; place < arguments.positional.size(); ++place)
    result.positional.push_back(*arguments.take(place, ""));
  result.named = std::move(arguments.named);
  arguments.named.clear();
  return result;
}

bool passes(const Value& value, const std::optional<Value>& test, Arguments arguments, Meter& meter) {
  if (!test) return is_true(value);
  if (!test->string()) throw Fault("a test has a name");
  const auto result = apply_test(*test->string(), value, arguments, meter);
  if (!result) throw Fault("there is no test \"" + *test->string() + "\"");
  arguments.finish("the test " + *test->string());
  return *result;
}

Value selected(std::string_view name, const Value& value, Arguments& arguments, Meter& meter) {
  const bool by_attribute = name.ends_with("attr");
  const bool wanted = name.starts_with("select");
  const auto attribute = by_attribute ? arguments.require(0, "attribute") : Value();
  const std::size_t place = by_attribute ? 1 : 0;
  const auto test = arguments.take(place, "test");
  const auto rest = rest_of(arguments, place + 1);
  List result;
  for (const auto& item : elements(value, meter))
    if (passes(by_attribute ? path_of(item, attribute, meter) : item, test, rest, meter) == wanted)
      result.push_back(item);
  return result;
}

Value mapped(const Value& value, Arguments& arguments, Meter& meter) {
  List result;
  if (arguments.positional.empty()) {
    const auto attribute = arguments.require(0, "attribute");
    const auto otherwise = arguments.take(1, "default");
    for (const auto& item : elements(value, meter)) {
      auto part = path_of(item, attribute, meter);
      result.push_back(part.is_undefined() && otherwise ? *otherwise : std::move(part));
    }
    return result;
  }
  const auto filter = arguments.require(0, "filter");
  if (!filter.string()) throw Fault("a filter has a name");
  const auto rest = rest_of(arguments, 1);
  for (const auto& item : elements(value, meter)) {
    auto own = rest;
    auto changed = apply_filter(*filter.string(), item, own, meter);
    if (!changed) throw Fault("there is no filter \"" + *filter.string() + "\"");
    own.finish("the filter " + *filter.string());
    result.push_back(std::move(*changed));
  }
  return result;
}

/// Elements with what they are compared by.
std::vector<std::pair<Value, Value>> keyed(const Value& value, const std::optional<Value>& attribute,
                                           bool case_sensitive, Meter& meter) {
  std::vector<std::pair<Value, Value>> result;
  for (const auto& item : elements(value, meter)) {
    Value key = attribute && !attribute->is_none() ? path_of(item, *attribute, meter) : item;
    if (!case_sensitive && key.string()) {
      meter.work(key.string()->size());
      key = lowered(*key.string());
    }
    result.emplace_back(std::move(key), item);
  }
  return result;
}

Value sorted(std::vector<std::pair<Value, Value>> items, bool reverse, Meter& meter) {
  // Found out beforehand, so that the order that sorting counts on is one.
  for (const auto& item : items) (void)less(item.first, items[0].first, meter);
  std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first, meter) : less(a.first, b.first, meter);
  });
  List result;
  for (auto& item : items) result.push_back(std::move(item.second));
  return result;
}

bool flag(Arguments& arguments, std::size_t place, std::string_view name) {
  const auto value = arguments.take(place, name);
  return value && is_true(*value);
}

Value items_of(const Value& value, Meter& meter) {
  if (value.is_undefined()) return List();
  if (!value.dict()) throw Fault(std::string("items needs a dictionary, not a ") + value.kind());
  return call_method(value, "items", {}, meter);
}

std::string joined_elements(const Value& value, Arguments& arguments, Meter& meter) {
  const auto separator = to_text(arguments.take(0, "d").value_or(Value("")), meter);
  const auto attribute = arguments.take(1, "attribute");
  std::string result;
  bool first = true;
  for (const auto& item : elements(value, meter)) {
    meter.work(separator.size());
    if (!first) result += separator;
    result += to_text(attribute ? path_of(item, *attribute, meter) : item, meter);
    first = false;
  }
  return result;
}

Value summed(const Value& value, Arguments& arguments, Meter& meter) {
  const auto attribute = arguments.take(0, "attribute");
  Value sum = arguments.take(1, "start").value_or(Value(std::int64_t{0}));
  for (const auto& item : elements(value, meter))
    sum = arithmetic("+", sum, attribute && !attribute->is_none() ? path_of(item, *attribute, meter) : item,
                     meter);
  return sum;
}

Value extreme(std::string_view name, const Value& value, Arguments& arguments, Meter& meter) {
  const bool case_sensitive = flag(arguments, 0, "case_sensitive");
  const auto items = keyed(value, arguments.take(1, "attribute"), case_sensitive, meter);
  if (items.empty()) return Value::undefined("the " + std::string(name) + " of nothing");
  auto best = items.begin();
  for (auto item = items.begin(); item != items.end(); ++item)
    if (name == "max" ? less(best->first, item->first, meter) : less(item->first, best->first, meter))
      best = item;
  return best->second;
}

Value unique_elements(const Value& value, Arguments& arguments, Meter& meter) {
  const bool case_sensitive = flag(arguments, 0, "case_sensitive");
  List seen, result;
  for (const auto& [key, item] : keyed(value, arguments.take(1, "attribute"), case_sensitive, meter)) {
    if (contains(Value(seen), key, meter)) continue;
    meter.work(seen.size() * sizeof(Value));
    seen.push_back(key);
    result.push_back(item);
  }
  return result;
}

Value sorted_dict(const Value& value, Arguments& arguments, Meter& meter) {
  const bool case_sensitive = flag(arguments, 0, "case_sensitive");
  const auto by = arguments.take(1, "by");
  const Value place(std::int64_t{by && by->string() && *by->string() == "value" ? 1 : 0});
  const bool reverse = flag(arguments, 2, "reverse");
  return sorted(keyed(items_of(value, meter), place, case_sensitive, meter), reverse, meter);
}

Value reversed(const Value& value, Meter& meter) {
  if (value.string()) return slice_of(value, {}, {}, std::int64_t{-1}, meter);
  auto items = elements(value, meter);
  std::reverse(items.begin(), items.end());
  return items;
}

}  // namespace

std::optional<Value> apply_list_filter(std::string_view name, const Value& value, Arguments& arguments,
                                       Meter& meter) {
  if (name == "first" || name == "last") {
    const auto items = elements(value, meter);
    if (items.empty()) return Value::undefined("the " + std::string(name) + " element of nothing");
    return name == "first" ? items.front() : items.back();
  }
  if (name == "list") return elements(value, meter);
  if (name == "items") return items_of(value, meter);
  if (name == "join") return joined_elements(value, arguments, meter);
  if (name == "map") return mapped(value, arguments, meter);
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr")
    return selected(name, value, arguments, meter);
  if (name == "reverse") return reversed(value, meter);
  if (name == "sum") return summed(value, arguments, meter);
  if (name == "max" || name == "min") return extreme(name, value, arguments, meter);
  if (name == "unique") return unique_elements(value, arguments, meter);
  if (name == "dictsort") return sorted_dict(value, arguments, meter);
  if (name == "sort") {
    const bool reverse = flag(arguments, 0, "reverse"), case_sensitive = flag(arguments, 1, "case_sensitive");
    return sorted(keyed(value, arguments.take(2, "attribute"), case_sensitive, meter), reverse, meter);
  }
  return std::nullopt;
}

}  // namespace daguerre::text::jinja
