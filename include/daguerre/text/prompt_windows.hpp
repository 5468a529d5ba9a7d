#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/text/compel.hpp"
#include "daguerre/text/prompt_weights.hpp"
#include "daguerre/text/token_window.hpp"

/// Long and weighted prompts as text encoders take them: windows of ids, each id with a weight.
namespace daguerre::text {

/// A textual inversion as prompts name it.
struct NamedVectors {
  std::string name;
  Index count = 1;  ///< of vectors
};

/// A window without a prompt.
TokenWindow empty_window(const WindowTokenizer& tokenizer);

/// AUTOMATIC1111's windows (`FrozenCLIPEmbedderWithCustomWords`): where one is full and a comma is among its
/// last `comma_backtrack` tokens, what follows it goes to the next; BREAK begins a new one. Textual
/// inversions stand where the tokens of their names are, the longest first; one that does not fit begins a
/// window. Never none. Throws ArgumentError for vectors that no window holds.
std::vector<TokenWindow> a1111_windows(const std::vector<WeightedText>& prompt,
                                       const WindowTokenizer& tokenizer, int comma_backtrack = 20,
                                       const std::vector<NamedVectors>& embeddings = {});

/// ComfyUI's (`SDTokenizer`): a weighted part of fewer than 8 tokens is not cut, but begins a window. Textual
/// inversions are called `embedding:name`; names that are not there are left out and added to `unknown`.
std::vector<TokenWindow> comfyui_windows(const std::vector<WeightedText>& prompt,
                                         const WindowTokenizer& tokenizer,
                                         const std::vector<NamedVectors>& embeddings = {},
                                         std::vector<std::string>* unknown = nullptr);

/// How compel cuts what is longer than a window: at the last end of a sentence, phrase or word in it, or
/// where it is full; each falls back to the next.
enum class LongText { sentences, phrases, words, brutal };

/// compel's windows, and where its fragments lie in them.
struct CompelWindows {
  std::vector<TokenWindow> windows;
  /// Of each fragment the first token and the one behind its last, counted through all windows; equal where
  /// it has none.
  std::vector<std::pair<Index, Index>> places;
};
/// With `truncates`, one window and what fits. Textual inversions stand where their names are, see
/// `split_at_names`.
CompelWindows compel_windows(const std::vector<CompelFragment>& prompt, const WindowTokenizer& tokenizer,
                             bool truncates, LongText how = LongText::sentences,
                             const std::vector<NamedVectors>& embeddings = {});

/// diffusers' textual inversion: a name with several vectors is replaced in the text by `name name_1
/// name_2`, wherever it stands, and each of these is a token, of an id behind the vocabulary's, in the
/// order of the embeddings. One window; `lost` is given what did not fit. Names are case-sensitive.
TokenWindow diffusers_window(std::string_view prompt, const WindowTokenizer& tokenizer,
                             const std::vector<NamedVectors>& embeddings, std::string* lost = nullptr);
/// That replacement alone.
std::string diffusers_prompt(std::string_view prompt, const std::vector<NamedVectors>& embeddings);

}  // namespace daguerre::text
