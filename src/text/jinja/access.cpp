#include <algorithm>
#include <limits>

#include "text/jinja/evaluator.hpp"

/// Parts of values.
namespace daguerre::text::jinja {
namespace {

class BoundMethod final : public Object {
 public:
  BoundMethod(Value self, std::string name) : self_(std::move(self)), name_(std::move(name)) {}
  const char* kind() const noexcept override { return "method"; }
  bool callable() const noexcept override { return true; }
  Value call(Arguments arguments, Meter& meter) const override {
    return call_method(self_, name_, std::move(arguments), meter);
  }

 private:
  Value self_;
  std::string name_;
};

[[noreturn]] void undefined_used(const Value& value) {
  throw Fault(value.undefined_what() + " is undefined");
}

/// An index as Python counts, from the end where it is below 0.
std::optional<std::size_t> place_of(std::int64_t index, std::size_t size) {
  const auto length = static_cast<std::int64_t>(size);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  return static_cast<std::size_t>(index);
}

/// A bound of a slice.
std::int64_t bound(const Value& value, std::int64_t length, std::int64_t step, std::int64_t otherwise) {
  if (value.is_none()) return otherwise;
  auto index = value.as_integer();
  if (!index) throw Fault(std::string("a slice needs whole numbers, not a ") + value.kind());
  if (*index < 0) *index = std::max<std::int64_t>(*index, -length - 1) + length;
  return std::clamp<std::int64_t>(*index, step < 0 ? -1 : 0, step < 0 ? length - 1 : length);
}

}  // namespace

Value attribute_of(const Value& value, const std::string& name, Meter& meter) {
  if (value.is_undefined()) undefined_used(value);
  if (const auto* object = value.object()) {
    if (auto found = object->attribute(name, meter)) return *found;
  } else if (has_method(value, name)) {
    return Value(std::static_pointer_cast<Object>(std::make_shared<BoundMethod>(value, name)));
  } else if (const auto* dict = value.dict()) {
    if (const auto* found = find_key(*dict, Value(name), meter)) return *found;
  }
  return Value::undefined(std::string(value.kind()) + " has no attribute '" + name + "', which");
}

Value item_of(const Value& value, const Value& key, Meter& meter) {
  if (value.is_undefined()) undefined_used(value);
  if (const auto* dict = value.dict()) {
    if (const auto* found = find_key(*dict, key, meter)) return *found;
  } else if (const auto index = key.as_integer()) {
    if (const auto* list = value.list()) {
      if (const auto place = place_of(*index, list->size())) return (*list)[*place];
    } else if (const auto* text = value.string()) {
      meter.work(text->size());
      const auto characters = code_points(*text);
      if (const auto place = place_of(*index, characters.size()))
        return from_code_points({&characters[*place], 1});
    }
  }
  if (key.string()) return attribute_of(value, *key.string(), meter);
  return Value::undefined("an element of a " + std::string(value.kind()));
}

Value slice_of(const Value& value, const Value& start, const Value& stop, const Value& step, Meter& meter) {
  if (value.is_undefined()) undefined_used(value);
  const auto stride = step.is_none() ? std::int64_t{1} : step.as_integer().value_or(0);
  if (stride == 0) throw Fault("the step of a slice is 0");
  const auto picked = [&](const auto& whole, auto& result) {
    const auto size = static_cast<std::int64_t>(whole.size());
    auto i = bound(start, size, stride, stride < 0 ? size - 1 : 0);
    const auto end = bound(stop, size, stride, stride < 0 ? -1 : size);
    meter.work(static_cast<std::size_t>(size) * sizeof(whole[0]));
    while (stride > 0 ? i < end : i > end) {
      result.push_back(whole[static_cast<std::size_t>(i)]);
      if (stride > 0 ? stride >= end - i : stride <= end - i) break;
      i += stride;
    }
  };
  if (const auto* list = value.list()) {
    List result;
    picked(*list, result);
    return result;
  }
  if (const auto* text = value.string()) {
    std::u32string result;
    picked(code_points(*text), result);
    return from_code_points(result);
  }
  throw Fault(std::string("a ") + value.kind() + " cannot be sliced");
}

}  // namespace daguerre::text::jinja
