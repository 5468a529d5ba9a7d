#pragma once

#include <string>
#include <string_view>

#include "daguerre/text/unicode.hpp"

namespace daguerre::text {

/// Every run of white space becomes one space.
Chars collapse_spaces(std::span<const Char> text);

/// HTML's character references replaced twice, then without white space at both ends, and with one space for
/// every run of it (openai/CLIP's `basic_clean` and `whitespace_clean`, which other pipelines have taken
/// over, without ftfy's repairs).
Chars cleaned(std::span<const Char> text);
std::string clean_prompt(std::string_view prompt);

}  // namespace daguerre::text
