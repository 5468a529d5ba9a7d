#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "text/unigram.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// Whether there is such a file and it speaks of a unigram model; other tokenizers' have the same name.
bool is_unigram_json(const std::filesystem::path& path);

/// What a `tokenizer.json` of Hugging Face's tokenizers library says of a unigram model.
struct UnigramJson {
  SentencePieceFile file;
  std::vector<AddedToken> added;      ///< looked for in the text as it was typed
  bool prefix_each = true;            ///< a space before each part between added tokens, not the first only
  UnigramModel::FastOptions options;  ///< of every part
};
/// Throws FileError; FormatError; ConfigError for another model, and for a normaliser or pre-tokeniser that
/// T5's files do not have.
UnigramJson read_unigram_json(const std::filesystem::path& path);

}  // namespace daguerre::text
