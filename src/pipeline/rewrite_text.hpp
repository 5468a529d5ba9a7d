#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/pipeline/prompting.hpp"

namespace daguerre {

/// What of a prompt a rewriter must not touch, and the rest.
struct SeparatedPrompt {
  /// What is between BREAK and AND, each with the word behind it (" BREAK ", " AND ", last: nothing).
  struct Segment {
    std::string words;  ///< plain words, without brackets and weights
    /// Pieces as they stand in the prompt, each with the words in it that an answer may have.
    std::vector<std::pair<std::string, std::string>> pieces;
    std::string joint;
  };
  std::vector<Segment> segments;
  std::vector<std::string> tags;  ///< `<lora:name:weight>` as they were
};
/// In the languages of a1111 and comfyui; of others all of it is words.
SeparatedPrompt separated(std::string_view prompt, PromptSyntax syntax);
/// An answer's text as that language reads it: brackets are characters, tags are dropped.
std::string as_plain_words(std::string_view text, PromptSyntax syntax);
/// `text`, already plain words, with the pieces in it.
std::string with_pieces(std::string text, const SeparatedPrompt::Segment& segment, PromptSyntax syntax);

std::size_t count_words(std::string_view text);

}  // namespace daguerre
