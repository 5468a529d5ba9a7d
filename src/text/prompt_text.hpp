#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/text/unicode.hpp"

/// What the readers of prompt languages share: numbers and words as Python, in which the references are
/// written, understands them.
namespace daguerre::text {

inline constexpr const char* prompt_name = "prompt";  ///< who speaks in messages

/// `\w` of Python's regular expressions.
bool is_word(char32_t code) noexcept;
/// `\s`, which is also what `str.strip` takes away.
bool is_blank(char32_t code) noexcept;
/// The value of a character of category Nd (`\d`); -1 for others.
int digit_value(char32_t code) noexcept;
/// Python's `float(text)`: white space around it, digits of any script, single underscores between digits,
/// "inf" and "nan"; nullopt where that raises. What is too large is infinite.
std::optional<double> python_float(std::string_view text);
/// Whether `text` is `[+-]?` and then a number without an exponent: `\d+`, `\d+.`, `\d*.\d+`.
bool is_plain_number(std::span<const Char> text) noexcept;

/// Without white space at the end, or at the beginning.
std::span<const Char> without_blank_end(std::span<const Char> text) noexcept;
std::span<const Char> without_blank_begin(std::span<const Char> text) noexcept;

/// The places where `word` stands by itself, as `\bword\b` finds it. Each place is an index of `text`.
std::vector<std::size_t> places_of_word(std::span<const Char> text, std::string_view word);

/// A part of a prompt for a message: in quotes, and cut where it is long.
std::string in_quotes(std::string_view text);

}  // namespace daguerre::text
