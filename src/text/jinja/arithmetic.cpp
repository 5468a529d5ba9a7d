#include <cmath>
#include <limits>

#include "text/jinja/evaluator.hpp"

namespace daguerre::text::jinja {
namespace {

[[noreturn]] void no_operands(std::string_view sign, const Value& a, const Value& b) {
  for (const auto* value : {&a, &b})
    if (value->is_undefined()) throw Fault(value->undefined_what() + " is undefined");
  throw Fault("'" + std::string(sign) + "' does not take a " + a.kind() + " and a " + b.kind());
}

[[noreturn]] void number_too_large() {
  throw Fault("a number is too large");
}

Value integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  std::int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? std::int64_t{1} : base;
  if (base == -1) return exponent % 2 == 0 ? std::int64_t{1} : std::int64_t{-1};
  for (; exponent > 0; --exponent)  // at most 63 times
    if (__builtin_mul_overflow(result, base, &result)) number_too_large();
  return result;
}

Value of_integers(std::string_view sign, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (sign == "+" || sign == "-" || sign == "*") {
    const bool overflows = sign == "+"   ? __builtin_add_overflow(a, b, &result)
                           : sign == "-" ? __builtin_sub_overflow(a, b, &result)
                                         : __builtin_mul_overflow(a, b, &result);
    if (overflows) number_too_large();
    return result;
  }
  if (sign == "**") return integer_power(a, b);
  if (b == 0) throw Fault("division by zero");
  if (sign == "/") return static_cast<double>(a) / static_cast<double>(b);
  if (b == -1) {  // the only division that can overflow
    if (sign == "%") return std::int64_t{0};
    if (__builtin_sub_overflow(std::int64_t{0}, a, &result)) number_too_large();
    return result;
  }
  const bool down = a % b != 0 && (a < 0) != (b < 0);  // Python rounds towards minus infinity
  return sign == "//" ? a / b - (down ? 1 : 0) : a % b + (down ? b : 0);
}

Value of_fractions(std::string_view sign, double a, double b) {
  if (sign == "+") return a + b;
  if (sign == "-") return a - b;
  if (sign == "*") return a * b;
  if (sign == "**") return std::pow(a, b);
  if (b == 0.0) throw Fault("division by zero");
  if (sign == "/") return a / b;
  if (sign == "//") return std::floor(a / b);
  return a - b * std::floor(a / b);
}

/// A string or list again and again.
std::optional<Value> repeated(const Value& value, const Value& count, Meter& meter) {
  const auto times = count.as_integer();
  if (!times || (!value.string() && !value.list())) return std::nullopt;
  const auto n = static_cast<std::size_t>(std::max<std::int64_t>(0, *times));
  const auto size = value.string() ? value.string()->size() : value.list()->size() * sizeof(Value);
  if (size != 0 && n > std::numeric_limits<std::size_t>::max() / size) throw Fault("a value is too large");
  meter.work(n * size);
  if (value.list()) {
    List result;
    for (std::size_t i = 0; i < n && size != 0; ++i)
      result.insert(result.end(), value.list()->begin(), value.list()->end());
    return result;
  }
  std::string result;
  for (std::size_t i = 0; i < n && size != 0; ++i) result += *value.string();
  return result;
}

}  // namespace

Value arithmetic(std::string_view sign, const Value& a, const Value& b, Meter& meter) {
  const auto whole_a = a.as_integer(), whole_b = b.as_integer();
  if (whole_a && whole_b) return of_integers(sign, *whole_a, *whole_b);
  const auto number_a = a.as_number(), number_b = b.as_number();
  if (number_a && number_b) return of_fractions(sign, *number_a, *number_b);
  if (sign == "+" && a.string() && b.string()) {
    meter.work(a.string()->size() + b.string()->size());
    return *a.string() + *b.string();
  }
  if (sign == "+" && a.list() && b.list()) {
    meter.work((a.list()->size() + b.list()->size()) * sizeof(Value));
    List result = *a.list();
    result.insert(result.end(), b.list()->begin(), b.list()->end());
    return result;
  }
  if (sign == "*") {
    if (auto result = repeated(a, b, meter)) return *result;
    if (auto result = repeated(b, a, meter)) return *result;
  }
  no_operands(sign, a, b);
}

}  // namespace daguerre::text::jinja
