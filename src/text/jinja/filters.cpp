#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "daguerre/text/unicode.hpp"
#include "text/jinja/evaluator.hpp"
#include "text/jinja/list_filters.hpp"
#include "text/jinja/strings.hpp"

/// What stands behind `|`: of single values here, of lists in list_filters.cpp.
namespace daguerre::text::jinja {
namespace {

std::optional<double> parsed_fraction(const std::string& text) {
  const auto plain = stripped(text, std::nullopt, true, true);
  double number = 0.0;
  const auto* end = plain.data() + plain.size();
  const auto result = std::from_chars(plain.data() + (plain.starts_with('+') ? 1 : 0), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

Value as_whole(const Value& value, Arguments& arguments) {
  const Value otherwise = arguments.take(0, "default").value_or(Value(std::int64_t{0}));
  const auto base = arguments.take(1, "base").value_or(Value(std::int64_t{10})).as_integer().value_or(10);
  if (base < 2 || base > 36) throw Fault("the base of int is out of range");
  if (const auto whole = value.as_integer()) return *whole;
  std::optional<double> number = value.as_number();
  if (const auto* text = value.string()) {
    const auto plain = stripped(*text, std::nullopt, true, true);
    std::int64_t whole = 0;
    const auto* end = plain.data() + plain.size();
    const auto result =
        std::from_chars(plain.data() + (plain.starts_with('+') ? 1 : 0), end, whole, static_cast<int>(base));
    if (result.ec == std::errc() && result.ptr == end) return whole;
    number = parsed_fraction(*text);
  }
  if (!number || !(std::abs(*number) < 9e18)) return otherwise;
  return static_cast<std::int64_t>(*number);
}

Value as_fraction(const Value& value, Arguments& arguments) {
  const Value otherwise = arguments.take(0, "default").value_or(Value(0.0));
  const auto number = value.string() ? parsed_fraction(*value.string()) : value.as_number();
  return number ? Value(*number) : otherwise;
}

Value rounded(const Value& value, Arguments& arguments) {
  const auto number = value.as_number();
  if (!number) throw Fault(std::string("round needs a number, not a ") + value.kind());
  const auto precision =
      arguments.take(0, "precision").value_or(Value(std::int64_t{0})).as_integer().value_or(0);
  if (precision < -15 || precision > 15) throw Fault("the precision of round is out of range");
  const auto method = arguments.take(1, "method").value_or(Value("common"));
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = *number * scale;
  const std::string kind = method.string() ? *method.string() : "";
  if (kind == "ceil") return std::ceil(scaled) / scale;
  if (kind == "floor") return std::floor(scaled) / scale;
  return std::nearbyint(scaled) / scale;
}

Value absolute(const Value& value) {
  if (const auto whole = value.as_integer(); whole && *whole >= -std::numeric_limits<std::int64_t>::max())
    return *whole < 0 ? -*whole : *whole;
  if (const auto number = value.as_number()) return std::abs(*number);
  throw Fault(std::string("abs needs a number, not a ") + value.kind());
}

std::string escaped(const std::string& text, Meter& meter) {
  std::string result;
  for (const char c : text) {
    const char* name = c == '&'    ? "&amp;"
                       : c == '<'  ? "&lt;"
                       : c == '>'  ? "&gt;"
                       : c == '\'' ? "&#39;"
                       : c == '"'  ? "&#34;"
                                   : nullptr;
    if (name != nullptr)
      result += name;
    else
      result += c;
  }
  meter.work(result.size());
  return result;
}

/// An indentation: text, or so many blanks.
std::string blanks_of(const Value& value, Meter& meter) {
  if (value.string()) return *value.string();
  const auto count = value.as_integer();
  if (!count || *count < 0 || *count > 1000) throw Fault("an indentation is a text, or a number up to 1000");
  meter.work(static_cast<std::size_t>(*count));
  return std::string(static_cast<std::size_t>(*count), ' ');
}

std::string indented(const std::string& text, Arguments& arguments, Meter& meter) {
  const auto blanks = blanks_of(arguments.take(0, "width").value_or(Value(std::int64_t{4})), meter);
  const bool first = is_true(arguments.take(1, "first").value_or(Value(false)));
  const bool blank = is_true(arguments.take(2, "blank").value_or(Value(false)));
  std::string result;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    if ((begin > 0 || first) && (blank || end > begin || (begin == 0 && first))) result += blanks;
    result += text.substr(begin, end - begin);
    meter.work(blanks.size() + end - begin + 1);
    if (end < text.size()) result += '\n';
    begin = end + 1;
  }
  return result;
}

Value json_filter(const Value& value, Arguments& arguments, Meter& meter) {
  JsonStyle style;
  const auto ascii = arguments.take(0, "ensure_ascii");
  style.ascii = ascii && is_true(*ascii);
  if (const auto indent = arguments.take(1, "indent"); indent && !indent->is_none()) {
    style.indent = blanks_of(*indent, meter);
    style.item_separator = ",";
  }
  if (const auto separators = arguments.take(2, "separators"); separators && !separators->is_none()) {
    const auto* list = separators->list();
    if (!list || list->size() != 2 || !(*list)[0].string() || !(*list)[1].string())
      throw Fault("separators are two texts");
    style.item_separator = *(*list)[0].string();
    style.key_separator = *(*list)[1].string();
  }
  const auto sorted = arguments.take(3, "sort_keys");
  style.sort_keys = sorted && is_true(*sorted);
  return to_json(value, style, meter);
}

bool ends_title_word(char32_t code) {
  return is_space(code) || code == U'-' || code == U'(' || code == U'{' || code == U'[' || code == U'<';
}

/// Filters of a text, which anything can be.
std::optional<Value> text_filter(std::string_view name, const Value& value, Arguments& arguments,
                                 Meter& meter) {
  const auto text = [&] { return to_text(value, meter); };
  if (name == "trim") {
    const auto of = arguments.take(0, "chars");
    return stripped(text(), of && of->string() ? std::optional(*of->string()) : std::nullopt, true, true);
  }
  if (name == "upper") return uppered(text());
  if (name == "lower") return lowered(text());
  if (name == "capitalize") return capitalised(text());
  if (name == "title") return titled(text(), ends_title_word);
  if (name == "replace") {
    const auto from = to_text(arguments.require(0, "old"), meter),
               to = to_text(arguments.require(1, "new"), meter);
    const auto count = arguments.take(2, "count");
    return replaced(text(), from, to, count ? count->as_integer().value_or(-1) : -1, meter);
  }
  if (name == "string") return text();
  if (name == "safe") return value;
  if (name == "e" || name == "escape") return escaped(text(), meter);
  if (name == "indent") return indented(text(), arguments, meter);
  if (name == "wordcount")
    return static_cast<std::int64_t>(split(text(), std::nullopt, -1, false, meter).size());
  return std::nullopt;
}

}  // namespace

std::optional<Value> apply_filter(std::string_view name, const Value& value, Arguments& arguments,
                                  Meter& meter) {
  if (name == "default" || name == "d") {
    const auto otherwise = arguments.take(0, "default_value").value_or(Value(""));
    const auto any = arguments.take(1, "boolean");
    const bool missing = value.is_undefined() || (any && is_true(*any) && !is_true(value));
    return missing ? otherwise : value;
  }
  if (name == "length" || name == "count") return length(value, meter);
  if (name == "tojson") return json_filter(value, arguments, meter);
  if (name == "int") return as_whole(value, arguments);
  if (name == "float") return as_fraction(value, arguments);
  if (name == "round") return rounded(value, arguments);
  if (name == "abs") return absolute(value);
  if (name == "attr") return attribute_of(value, to_text(arguments.require(0, "name"), meter), meter);
  if (auto result = text_filter(name, value, arguments, meter)) return result;
  return apply_list_filter(name, value, arguments, meter);
}

}  // namespace daguerre::text::jinja
