#include "text/jinja/value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "daguerre/text/unicode.hpp"

namespace daguerre::text::jinja {
namespace {

constexpr int max_value_depth = 64;
/// Comparing so many bytes costs what making one does.
constexpr std::size_t compared_bytes = 16;

int depth_above(int deepest, const Value& item) {
  if (item.object() != nullptr) throw Fault(std::string("a list or dictionary cannot hold a ") + item.kind());
  deepest = std::max(deepest, item.depth() + 1);
  if (deepest > max_value_depth) throw Fault("lists and dictionaries are nested too deeply");
  return deepest;
}

[[noreturn]] void not_comparable(const Value& a, const Value& b) {
  throw Fault(std::string("'<' is not supported between ") + a.kind() + " and " + b.kind());
}

}  // namespace

std::optional<Value> Arguments::take(std::size_t place, std::string_view name) {
  if (place < positional.size()) {
    taken_.push_back(place);
    return positional[place];
  }
  for (auto i = named.begin(); i != named.end(); ++i)
    if (i->first == name) {
      Value value = i->second;
      named.erase(i);
      return value;
    }
  return std::nullopt;
}

Value Arguments::require(std::size_t place, std::string_view name) {
  auto value = take(place, name);
  if (!value) throw Fault("the argument \"" + std::string(name) + "\" is missing");
  return *value;
}

void Arguments::finish(std::string_view callee) const {
  if (!named.empty()) throw Fault(std::string(callee) + " takes no argument \"" + named[0].first + "\"");
  for (std::size_t place = 0; place < positional.size(); ++place)
    if (std::find(taken_.begin(), taken_.end(), place) == taken_.end())
      throw Fault(std::string(callee) + " takes fewer arguments than " + std::to_string(positional.size()));
}

std::optional<Value> Object::attribute(std::string_view, Meter&) const {
  return std::nullopt;
}
Value Object::call(Arguments, Meter&) const {
  throw Fault(std::string("a ") + kind() + " cannot be called");
}

Value::Value(List items) {
  int depth = 1;
  for (const auto& item : items) depth = depth_above(depth, item);
  data_ = std::make_shared<const ListNode>(ListNode{std::move(items), depth});
}

Value::Value(Dict items) {
  int depth = 1;
  for (const auto& item : items) {
    if (item.first.depth() > 0 || item.first.object() != nullptr || item.first.is_undefined())
      throw Fault(std::string("a ") + item.first.kind() + " cannot be a key");
    depth = depth_above(depth, item.second);
  }
  data_ = std::make_shared<const DictNode>(DictNode{std::move(items), depth});
}

Value Value::undefined(std::string what) {
  Value value;
  value.data_ = std::make_shared<const Undefined>(Undefined{std::move(what)});
  return value;
}

const List* Value::list() const noexcept {
  const auto* node = pointee<const ListNode>();
  return node ? &node->items : nullptr;
}

const Dict* Value::dict() const noexcept {
  const auto* node = pointee<const DictNode>();
  return node ? &node->items : nullptr;
}

std::optional<std::int64_t> Value::as_integer() const noexcept {
  if (const auto* value = boolean()) return *value ? 1 : 0;
  if (const auto* value = integer()) return *value;
  return std::nullopt;
}

std::optional<double> Value::as_number() const noexcept {
  if (const auto* value = fraction()) return *value;
  if (const auto value = as_integer()) return static_cast<double>(*value);
  return std::nullopt;
}

const char* Value::kind() const noexcept {
  if (is_none()) return "None";
  if (boolean()) return "bool";
  if (integer()) return "int";
  if (fraction()) return "float";
  if (string()) return "str";
  if (list()) return "list";
  if (dict()) return "dict";
  if (const auto* held = object()) return held->kind();
  return "undefined value";
}

int Value::depth() const noexcept {
  if (const auto* node = pointee<const ListNode>()) return node->depth;
  if (const auto* node = pointee<const DictNode>()) return node->depth;
  return 0;
}

bool is_true(const Value& value) {
  if (value.is_none() || value.is_undefined()) return false;
  if (const auto number = value.as_number()) return *number != 0.0;
  if (const auto* text = value.string()) return !text->empty();
  if (const auto* list = value.list()) return !list->empty();
  if (const auto* dict = value.dict()) return !dict->empty();
  return true;
}

bool equal(const Value& a, const Value& b, Meter& meter) {
  meter.step();
  const auto whole_a = a.as_integer(), whole_b = b.as_integer();
  if (whole_a && whole_b) return *whole_a == *whole_b;
  const auto number_a = a.as_number(), number_b = b.as_number();
  if (number_a || number_b) return number_a && number_b && *number_a == *number_b;
  if (a.string() && b.string()) {
    if (a.string()->size() != b.string()->size()) return false;
    meter.work(a.string()->size() / compared_bytes);
    return *a.string() == *b.string();
  }
  if (a.list() && b.list())
    return std::equal(a.list()->begin(), a.list()->end(), b.list()->begin(), b.list()->end(),
                      [&](const Value& x, const Value& y) { return equal(x, y, meter); });
  if (a.dict() && b.dict()) {
    if (a.dict()->size() != b.dict()->size()) return false;
    for (const auto& [key, item] : *a.dict()) {
      const auto* other = find_key(*b.dict(), key, meter);
      if (other == nullptr || !equal(item, *other, meter)) return false;
    }
    return true;
  }
  if (a.object() || b.object()) return a.object() == b.object();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(const Value& a, const Value& b, Meter& meter) {
  meter.step();
  const auto whole_a = a.as_integer(), whole_b = b.as_integer();
  if (whole_a && whole_b) return *whole_a < *whole_b;
  const auto number_a = a.as_number(), number_b = b.as_number();
  if (number_a && number_b) return *number_a < *number_b;
  if (a.string() && b.string()) {
    meter.work(std::min(a.string()->size(), b.string()->size()) / compared_bytes);
    return *a.string() < *b.string();  // UTF-8 keeps the order of code points
  }
  if (!a.list() || !b.list()) not_comparable(a, b);
  const auto &left = *a.list(), &right = *b.list();
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i)
    if (!equal(left[i], right[i], meter)) return less(left[i], right[i], meter);
  return left.size() < right.size();
}

const Value* find_key(const Dict& dict, const Value& key, Meter& meter) {
  for (const auto& item : dict)
    if (equal(item.first, key, meter)) return &item.second;
  return nullptr;
}

std::size_t find_in(std::string_view text, std::string_view part, std::size_t begin, Meter& meter) {
  // What a search costs where nearly all of it fits everywhere.
  meter.work((text.size() - std::min(begin, text.size())) / compared_bytes * (1 + part.size() / 64));
  return text.find(part, begin);
}

bool contains(const Value& container, const Value& item, Meter& meter) {
  if (const auto* text = container.string()) {
    if (!item.string()) throw Fault(std::string("'in <str>' needs a str, not a ") + item.kind());
    return find_in(*text, *item.string(), 0, meter) != text->npos;
  }
  if (const auto* dict = container.dict()) return find_key(*dict, item, meter) != nullptr;
  if (container.is_undefined()) return false;
  const auto* list = container.list();
  if (!list) throw Fault(std::string("'in' does not look into a ") + container.kind());
  return std::any_of(list->begin(), list->end(),
                     [&](const Value& element) { return equal(element, item, meter); });
}

List elements(const Value& value, Meter& meter) {
  List result;
  if (const auto* list = value.list()) {
    result = *list;
  } else if (const auto* dict = value.dict()) {
    for (const auto& item : *dict) result.push_back(item.first);
  } else if (const auto* text = value.string()) {
    meter.work(text->size() * 64);
    for (const char32_t code : code_points(*text)) result.emplace_back(from_code_points({&code, 1}));
  } else if (!value.is_undefined()) {
    throw Fault(std::string("a ") + value.kind() + " has no elements to go through");
  }
  meter.work(result.size() * sizeof(Value));
  return result;
}

std::int64_t length(const Value& value, Meter& meter) {
  if (const auto* list = value.list()) return static_cast<std::int64_t>(list->size());
  if (const auto* dict = value.dict()) return static_cast<std::int64_t>(dict->size());
  if (const auto* text = value.string()) {
    meter.work(text->size());
    return static_cast<std::int64_t>(code_points(*text).size());
  }
  if (value.is_undefined()) return 0;
  throw Fault(std::string("a ") + value.kind() + " has no length");
}

std::u32string code_points(std::string_view text) {
  std::u32string result;
  for (const auto& character : decode_utf8(text)) result += character.code;
  return result;
}

std::string from_code_points(std::u32string_view text) {
  std::string result;
  for (const char32_t code : text) append_utf8(result, code);
  return result;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, std::int64_t most,
                     Meter& meter) {
  std::string result;
  std::size_t begin = 0;
  for (; most != 0; --most) {
    auto found = from.empty() ? begin : find_in(text, from, begin, meter);
    if (found == text.npos || found > text.size()) break;
    if (from.empty()) {  // before each character, and at the end
      result += to;
      if (found == text.size()) return result;
      do result += text[found++];
      while (found < text.size() && (static_cast<unsigned char>(text[found]) & 0xC0) == 0x80);
      meter.work(to.size() + 4);
      begin = found;
      continue;
    }
    meter.work(found - begin + to.size() + 1);
    result += text.substr(begin, found - begin);
    result += to;
    begin = found + from.size();
  }
  meter.work(text.size() - begin);
  result += text.substr(begin);
  return result;
}

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[64];
  const double size = std::abs(number);
  const bool plain = size == 0.0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string text(buffer, end);
  if (plain && text.find('.') == text.npos) text += ".0";
  return text;
}

}  // namespace daguerre::text::jinja
