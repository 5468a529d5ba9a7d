#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace daguerre {

class Embedding;

/// Whose prompt language a prompt is written in.
enum class PromptSyntax {
  plain,    ///< words; what does not fit the text encoder's window is lost (diffusers)
  a1111,    ///< AUTOMATIC1111's web UI: (x:1.3), [x], BREAK, [from:to:when], [a|b], AND, <lora:name:weight>
  comfyui,  ///< ComfyUI: (x:1.3), embedding:name
  compel    ///< compel: word++, (words)1.3, .and(), .blend()
};
std::string_view name_of(PromptSyntax syntax) noexcept;
/// Throws ArgumentError, listing the names there are.
PromptSyntax prompt_syntax(std::string_view name);

/// What AUTOMATIC1111's weights do to the states of a text encoder.
enum class Emphasis {
  original,  ///< multiply them, then bring their mean back to what it was
  no_norm,   ///< multiply them
  ignore,    ///< nothing
  none       ///< brackets are characters as any other
};
std::string_view name_of(Emphasis emphasis) noexcept;  ///< "Original", "No norm", "Ignore", "None"
/// The same names, in any case. Throws ArgumentError.
Emphasis emphasis(std::string_view name);

/// How prompts are read.
struct Prompting {
  PromptSyntax syntax = PromptSyntax::plain;
  Emphasis emphasis = Emphasis::original;
  /// Tokens before a window's end among which the web UI looks for a comma to break at.
  int comma_backtrack = 20;
  /// Textual inversions that prompts may name.
  std::vector<std::shared_ptr<const Embedding>> embeddings{};

  /// Whether text encoders are simply handed the prompts.
  bool is_plain() const noexcept { return syntax == PromptSyntax::plain && embeddings.empty(); }
};

}  // namespace daguerre
