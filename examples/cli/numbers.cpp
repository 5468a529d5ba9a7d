#include "numbers.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include <CLI/CLI.hpp>

namespace daguerre::cli {
namespace {

template <class T>
std::string number_text(T number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

/// What a text is: a number, a number that T cannot hold, or none.
template <class T>
struct ParsedNumber {
  std::optional<T> number{};
  bool is_too_large = false;
};

/// In no locale but C's, unlike strtod.
template <class T>
ParsedNumber<T> parse_number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_whole = end == text.data() + text.size();
  if (error == std::errc::result_out_of_range && is_whole) return {{}, true};
  if (error != std::errc() || !is_whole) return {};
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(number)) return {};
  return {number};
}

/// "at least 1", "0 to 1"; empty where everything is permitted.
template <class T>
std::string range_text(const Limits<T>& limits) {
  if (limits.least && limits.most) return number_text(*limits.least) + " to " + number_text(*limits.most);
  if (limits.least) return "at least " + number_text(*limits.least);
  return limits.most ? "at most " + number_text(*limits.most) : std::string();
}

/// The number that `text` is, within the limits. Throws CLI::ValidationError.
template <class T>
T number_in(const std::string& name, const std::string& text, Limits<T> limits) {
  const auto parsed = parse_number<T>(text);
  if (parsed.number && !(limits.least && *parsed.number < *limits.least) &&
      !(limits.most && *parsed.number > *limits.most))
    return *parsed.number;
  std::string expected;
  if (!parsed.number && !parsed.is_too_large)
    expected = std::is_floating_point_v<T> ? "a number" : "a whole number";
  if (parsed.is_too_large) {
    if (!limits.most) limits.most = std::numeric_limits<T>::max();
    if (!limits.least) limits.least = std::numeric_limits<T>::lowest();
  }
  if (const auto range = range_text(limits); !range.empty())
    expected += (expected.empty() ? "" : ", ") + range;
  throw CLI::ValidationError(
      name, "expected " + expected + ", found " + (text.empty() ? "nothing" : "\"" + text + "\""));
}

template <class T, class Target>
CLI::Option* add_option_for(CLI::App& app, const std::string& name, Target& target, const Limits<T>& limits,
                            const std::string& description) {
  return app.add_option(
      name,
      [name, &target, limits](const CLI::results_t& texts) {
        target = number_in<T>(name, texts.back(), limits);
        return true;
      },
      description);
}

}  // namespace

template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, T& target,
                        const std::type_identity_t<Limits<T>>& limits, const std::string& description) {
  return add_option_for<T>(app, name, target, limits, description)->default_function([&target] {
    return number_text(target);
  });
}

template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, std::optional<T>& target,
                        const std::type_identity_t<Limits<T>>& limits, const std::string& description) {
  return add_option_for<T>(app, name, target, limits, description);
}

#define DAGUERRE_ADD_NUMBER(T)                                                                               \
  template CLI::Option* add_number(CLI::App&, const std::string&, T&, const Limits<T>&, const std::string&); \
  template CLI::Option* add_number(CLI::App&, const std::string&, std::optional<T>&, const Limits<T>&,       \
                                   const std::string&);
DAGUERRE_ADD_NUMBER(int)
DAGUERRE_ADD_NUMBER(std::int64_t)
DAGUERRE_ADD_NUMBER(std::uint64_t)
DAGUERRE_ADD_NUMBER(float)
DAGUERRE_ADD_NUMBER(double)
#undef DAGUERRE_ADD_NUMBER

}  // namespace daguerre::cli
