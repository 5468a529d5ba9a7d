#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.hpp"

/// What Python's str does, on UTF-8.
namespace daguerre::text::jinja {

std::string lowered(std::string_view text);
/// Simple upper case; of characters that become several only the sharp s does.
std::string uppered(std::string_view text);
/// The first character in upper case, the others in lower.
std::string capitalised(std::string_view text);
/// The same of every word; words begin behind characters for which `ends` is true, and at the beginning.
std::string titled(std::string_view text, bool (*ends)(char32_t code));
/// Without the characters in `of` (white space where it is not given) at its ends.
std::string stripped(std::string_view text, const std::optional<std::string>& of, bool left, bool right);
/// At `separator`, or at runs of white space, at most `most` times (below 0: always), from the right if so.
std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator,
                               std::int64_t most, bool from_right, Meter& meter);

}  // namespace daguerre::text::jinja
