#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace daguerre::weights {

/// Who speaks in messages: the reader of safetensors files, and what is above files.
inline constexpr std::string_view safetensors_name = "safetensors";
inline constexpr std::string_view weights_name = "weights";

/// Length of the well-formed UTF-8 sequence at the start of `text`, which is not empty (Unicode 15, table
/// 3-7: overlong forms and surrogates are not); 0 when there is none.
std::size_t utf8_sequence_length(std::string_view text) noexcept;

/// Position of the first byte that is not part of well-formed UTF-8; npos when there is none.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// `text` in double quotes for a message: control characters escaped and cut after 120 bytes, so that a name
/// from a hostile file can neither flood nor steer a terminal.
std::string in_quotes(std::string_view text);

/// What to do with a pickle checkpoint; follows the statement that a file is one.
inline constexpr std::string_view pickle_conversion_hint =
    "; convert it in Python: safetensors.torch.save_file(torch.load(\"FILE\", weights_only=True), "
    "\"model.safetensors\")";

}  // namespace daguerre::weights
