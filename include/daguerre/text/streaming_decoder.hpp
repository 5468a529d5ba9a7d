#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "daguerre/text/language_tokenizer.hpp"

namespace daguerre::text {

/// When text is given out while a model writes.
enum class StreamingUnit {
  characters,  ///< as soon as a character is complete
  /// Up to the last space, at the end of a line, and behind a Chinese character: transformers' TextStreamer.
  words
};

/// Turns ids into text to print, one at a time. What `push` and `finish` return, joined, is the text; where
/// bytes of a text are no UTF-8, as far as that can be without taking back what was printed.
class StreamingDecoder {
 public:
  /// Keeps the tokenizer.
  explicit StreamingDecoder(std::shared_ptr<const LanguageTokenizer> tokenizer,
                            StreamingUnit unit = StreamingUnit::characters, bool skip_special_tokens = true);

  /// What can be printed now that `id` was written; often empty.
  std::string push(std::int32_t id);
  /// The rest. What is pushed then begins a new text.
  std::string finish();

 private:
  std::string take(const std::string& text, std::size_t end);
  void start_anew();

  std::shared_ptr<const LanguageTokenizer> tokenizer_;
  StreamingUnit unit_;
  bool skip_special_tokens_;
  std::unique_ptr<IncrementalDecoder> decoder_;
  // The text since the last line's end ("words") or finish: how many code points were given out, where in the
  // settled part the last of those that lie in it ends and how many these are, and up to where there is no
  // space that was not given out.
  std::size_t printed_ = 0, cursor_ = 0, cursor_characters_ = 0, searched_ = 0;
};

}  // namespace daguerre::text
