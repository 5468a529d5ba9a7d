#include <algorithm>
#include <array>

#include "daguerre/text/unicode.hpp"
#include "text/jinja/evaluator.hpp"
#include "text/jinja/strings.hpp"

/// Methods of strings, lists and dictionaries.
namespace daguerre::text::jinja {
namespace {

constexpr std::array<std::string_view, 25> string_methods = {
    "strip",      "lstrip",  "rstrip",       "startswith",  "endswith", "split",      "rsplit",
    "splitlines", "replace", "lower",        "upper",       "title",    "capitalize", "find",
    "rfind",      "count",   "join",         "isdigit",     "isalpha",  "isalnum",    "isspace",
    "isupper",    "islower", "removeprefix", "removesuffix"};
constexpr std::array<std::string_view, 4> dict_methods = {"items", "keys", "values", "get"};
constexpr std::array<std::string_view, 2> list_methods = {"index", "count"};

const std::string& text_in(const Value& value) {
  if (!value.string()) throw Fault(std::string("a str was expected, not a ") + value.kind());
  return *value.string();
}

std::optional<std::string> optional_text(const std::optional<Value>& value) {
  if (!value || value->is_none()) return std::nullopt;
  return text_in(*value);
}

std::int64_t optional_count(const std::optional<Value>& value) {
  if (!value || value->is_none()) return -1;
  const auto count = value->as_integer();
  if (!count) throw Fault(std::string("a number was expected, not a ") + value->kind());
  return *count;
}

List as_values(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

/// Whether `text` begins or ends with one of what `value` is.
bool fits(const std::string& text, const Value& value, bool begins, Meter& meter) {
  if (const auto* list = value.list())
    return std::any_of(list->begin(), list->end(),
                       [&](const Value& one) { return fits(text, one, begins, meter); });
  meter.step();
  meter.work(std::min(text.size(), text_in(value).size()) / 16);
  return begins ? text.starts_with(text_in(value)) : text.ends_with(text_in(value));
}

std::vector<std::string> lines_of(const std::string& text, bool keep_ends) {
  std::vector<std::string> result;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find_first_of("\n\r", begin), text.size());
    auto next = std::min(end + 1, text.size());
    if (end + 1 < text.size() && text[end] == '\r' && text[end + 1] == '\n') ++next;
    result.push_back(text.substr(begin, (keep_ends ? next : end) - begin));
    begin = next;
  }
  return result;
}

/// isdigit and its like: not of nothing.
bool all_are(const std::string& text, bool (*test)(char32_t)) {
  const auto characters = code_points(text);
  return !characters.empty() && std::all_of(characters.begin(), characters.end(), test);
}

std::int64_t character_offset(const std::string& text, std::size_t byte) {
  if (byte == text.npos) return -1;
  return static_cast<std::int64_t>(code_points(std::string_view(text).substr(0, byte)).size());
}

std::int64_t count_in(const std::string& text, const std::string& part, Meter& meter) {
  if (part.empty()) return static_cast<std::int64_t>(code_points(text).size()) + 1;
  std::int64_t count = 0;
  for (auto at = find_in(text, part, 0, meter); at != text.npos;
       at = find_in(text, part, at + part.size(), meter))
    ++count;
  return count;
}

std::string joined(const std::string& separator, const Value& parts, Meter& meter) {
  std::string result;
  bool first = true;
  for (const auto& part : elements(parts, meter)) {
    meter.work(separator.size() + text_in(part).size());
    result += (first ? std::string() : separator) + text_in(part);
    first = false;
  }
  return result;
}

Value string_method(const std::string& text, std::string_view name, Arguments& arguments, Meter& meter) {
  meter.work(text.size());
  const auto required = [&] { return text_in(arguments.require(0, "text")); };
  if (name == "strip" || name == "lstrip" || name == "rstrip")
    return stripped(text, optional_text(arguments.take(0, "chars")), name != "rstrip", name != "lstrip");
  if (name == "startswith" || name == "endswith")
    return fits(text, arguments.require(0, "text"), name == "startswith", meter);
  if (name == "split" || name == "rsplit") {
    const auto separator = optional_text(arguments.take(0, "sep"));
    return as_values(
        split(text, separator, optional_count(arguments.take(1, "maxsplit")), name == "rsplit", meter));
  }
  if (name == "splitlines") {
    const auto keep = arguments.take(0, "keepends");
    meter.work(text.size() * sizeof(Value));
    return as_values(lines_of(text, keep && is_true(*keep)));
  }
  if (name == "replace") {
    const auto from = required(), to = text_in(arguments.require(1, "new"));
    return replaced(text, from, to, optional_count(arguments.take(2, "count")), meter);
  }
  if (name == "lower") return lowered(text);
  if (name == "upper") return uppered(text);
  if (name == "title") return titled(text, [](char32_t code) { return !is_letter(code); });
  if (name == "capitalize") return capitalised(text);
  if (name == "find") return character_offset(text, find_in(text, required(), 0, meter));
  if (name == "rfind") {
    const auto part = required();
    (void)find_in(text, part, 0, meter);
    return character_offset(text, text.rfind(part));
  }
  if (name == "count") return count_in(text, required(), meter);
  if (name == "join") return joined(text, arguments.require(0, "iterable"), meter);
  if (name == "isdigit") return all_are(text, [](char32_t code) { return is_number(code); });
  if (name == "isalpha") return all_are(text, [](char32_t code) { return is_letter(code); });
  if (name == "isalnum")
    return all_are(text, [](char32_t code) { return is_letter(code) || is_number(code); });
  if (name == "isspace") return all_are(text, [](char32_t code) { return is_space(code); });
  if (name == "isupper") return uppered(text) == text && lowered(text) != text;
  if (name == "islower") return lowered(text) == text && uppered(text) != text;
  const auto part = required();
  if (name == "removeprefix") return text.starts_with(part) ? text.substr(part.size()) : text;
  return text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text;
}

Value dict_method(const Value& self, std::string_view name, Arguments& arguments, Meter& meter) {
  if (name == "get") {
    const auto key = arguments.require(0, "key");
    const auto otherwise = arguments.take(1, "default");
    const auto* found = find_key(*self.dict(), key, meter);
    return found ? *found : otherwise.value_or(Value());
  }
  List result;
  meter.work(self.dict()->size() * 3 * sizeof(Value));
  for (const auto& [key, value] : *self.dict())
    result.push_back(name == "keys" ? key : name == "values" ? value : Value(List{key, value}));
  return result;
}

Value list_method(const List& self, std::string_view name, Arguments& arguments, Meter& meter) {
  const auto wanted = arguments.require(0, "value");
  std::int64_t count = 0;
  for (std::size_t i = 0; i < self.size(); ++i) {
    if (!equal(self[i], wanted, meter)) continue;
    if (name == "index") return static_cast<std::int64_t>(i);
    ++count;
  }
  if (name == "index") throw Fault("the value is not in the list");
  return count;
}

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  if (value.string()) return is_one_of(string_methods, name);
  if (value.dict()) return is_one_of(dict_methods, name);
  return value.list() && is_one_of(list_methods, name);
}

Value call_method(const Value& value, std::string_view name, Arguments arguments, Meter& meter) {
  Value result = value.string() ? string_method(*value.string(), name, arguments, meter)
                 : value.dict() ? dict_method(value, name, arguments, meter)
                                : list_method(*value.list(), name, arguments, meter);
  arguments.finish(name);
  return result;
}

}  // namespace daguerre::text::jinja
