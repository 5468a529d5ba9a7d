#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace daguerre::text {

/// The bytes that base64 (RFC 4648, section 4) stands for; nothing for text that is not in it.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace daguerre::text
