#pragma once

#include "daguerre/text/unicode.hpp"

namespace daguerre::text {

/// Replaces HTML's character references (`&amp;`, `&#233;`, `&#xE9;`) by what they stand for, by the rules of
/// HTML 5 as Python's `html.unescape` follows them: some names may lack the semicolon, numbers that HTML
/// forbids become other characters, U+FFFD or nothing. What came from a reference has the source of its `&`.
Chars unescape_html(std::span<const Char> text);

}  // namespace daguerre::text
