#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace daguerre {

/// Length of the well-formed UTF-8 sequence at the start of `text`, which is not empty (Unicode 15, table
/// 3-7: overlong forms and surrogates are not); 0 when there is none.
std::size_t utf8_sequence_length(std::string_view text) noexcept;

/// Position of the first byte that is not part of well-formed UTF-8; npos when there is none.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// Adds the UTF-8 sequence of a code point up to U+10FFFF to `text`; that it is no surrogate is the caller's
/// to see.
void append_code_point(std::string& text, std::uint32_t code);

/// `text` in double quotes for a message: control characters escaped and cut after 120 bytes, so that a name
/// from a hostile file can neither flood nor steer a terminal.
std::string in_quotes(std::string_view text);

}  // namespace daguerre
