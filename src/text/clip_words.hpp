#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daguerre/text/clip_tokenizer.hpp"
#include "daguerre/text/unicode.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// Cuts a text into the words that byte-pair encoding works on: contractions ('s, 't, 're, 've, 'm, 'll, 'd),
/// runs of letters, single numbers, runs of anything else; white space separates.
class ClipSplitter {
 public:
  struct Word {
    std::span<const Char> text;  ///< normalised, in lower case; never empty
    std::int32_t special = -1;   ///< the id of a special token that is taken as a whole
  };
  /// Returns false to stop.
  using Visitor = std::function<bool(const Word&)>;

  /// `end` and `others` are found anywhere in the text, each as it says. (Hugging Face's tokenizer.json for
  /// CLIP has the end token found as it was typed, the start token in the normalised text.)
  ClipSplitter(ClipDialect dialect, const AddedToken& end, const std::vector<AddedToken>& others);

  void split(std::string_view text, const Visitor& visit) const;

 private:
  struct Pattern {
    Chars content;
    std::int32_t id;
  };
  bool split_section(std::span<const Char> text, const Visitor& visit) const;
  bool split_openai(std::span<const Char> text, const Visitor& visit) const;

  ClipDialect dialect_;
  std::vector<Pattern> raw_;         // found in the text as it is; the longest first
  std::vector<Pattern> normalized_;  // found in the normalised text; likewise
};

}  // namespace daguerre::text
