#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace daguerre::text {

/// A part of a prompt and how much it counts.
struct WeightedText {
  std::string text;
  double weight = 1.0;

  /// Whether it is the web UI's BREAK: what follows begins a new window.
  bool is_break() const noexcept { return text == "BREAK" && weight == -1.0; }
  friend bool operator==(const WeightedText&, const WeightedText&) = default;
};

/// AUTOMATIC1111's emphasis (`parse_prompt_attention`): `(x)` is 1.1 and `[x]` 1/1.1, `(x:1.3)` says the
/// number, and nested ones multiply; an unmatched bracket acts to the end; a backslash takes the meaning of a
/// bracket away; BREAK is a word of its own. Parts of equal weight are one. Never empty. Throws ArgumentError
/// for a number that is none, "1.2.3".
std::vector<WeightedText> parse_a1111_attention(std::string_view prompt);

/// ComfyUI's (`token_weights`): round brackets only, 1.1 each, and an explicit number replaces what the
/// brackets around it say. Throws ArgumentError for brackets nested deeper than 500.
std::vector<WeightedText> parse_comfyui_weights(std::string_view prompt);

}  // namespace daguerre::text
