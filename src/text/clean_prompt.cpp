#include "text/clean_prompt.hpp"

#include "text/html_entities.hpp"

namespace daguerre::text {

Chars collapse_spaces(std::span<const Char> text) {
  Chars out;
  out.reserve(text.size());
  bool in_run = false;
  for (const Char& c : text) {
    const bool space = is_space(c.code);
    if (!space) out.push_back(c);
    if (space && !in_run) out.push_back({U' ', c.source});
    in_run = space;
  }
  return out;
}

Chars cleaned(std::span<const Char> text) {
  const Chars unescaped = unescape_html(unescape_html(text));
  return collapse_spaces(strip(unescaped));
}

std::string clean_prompt(std::string_view prompt) {
  return to_utf8(cleaned(decode_utf8(prompt)));
}

}  // namespace daguerre::text
