#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace daguerre::weights {

/// Position of the first byte that is not part of well-formed UTF-8 (overlong forms and surrogates are not);
/// npos when there is none.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// `text` in double quotes for a message: control characters escaped and cut after 120 bytes, so that a name
/// from a hostile file can neither flood nor steer a terminal.
std::string in_quotes(std::string_view text);

/// What to do with a pickle checkpoint; follows the statement that a file is one.
inline constexpr std::string_view pickle_conversion_hint =
    "; convert it in Python: safetensors.torch.save_file(torch.load(\"FILE\", weights_only=True), "
    "\"model.safetensors\")";

}  // namespace daguerre::weights
