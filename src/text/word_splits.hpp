#pragma once

#include <string_view>
#include <vector>

namespace daguerre::text {

/// How a family of published vocabularies cuts a text into words.
struct WordSplit {
  std::vector<std::string_view> patterns;  ///< one after the other
  bool nfc = false;                        ///< the text is brought to normal form C first
  bool ignore_merges = false;              ///< a word of the vocabulary is one token, whatever the merges say
  bool add_bos = false;                    ///< where files do not say
};

/// By the name that llama.cpp has for it (`tokenizer.ggml.pre`): "qwen2"; nullptr for an unknown one. "" is
/// "default", what llama.cpp does with files that are older than these names.
const WordSplit* find_word_split(std::string_view name);

}  // namespace daguerre::text
