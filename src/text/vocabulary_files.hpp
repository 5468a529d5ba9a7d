#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_pair.hpp"

namespace daguerre::text {

/// A token that is looked for in the text as a whole.
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  /// Looked for in the text after it was normalised (its content is, too), else in the text as it was typed.
  bool normalized = true;
};

/// What byte-pair encoding works with.
struct BytePairFiles {
  BytePairEncoder::Vocabulary vocabulary;
  std::vector<BytePairEncoder::Merge> merges;
  std::vector<AddedToken> added;  ///< as they are listed; the vocabulary need not hold them
};

/// From `vocab.json` (tokens and their ids) and `merges.txt`. Throws FileError, or FormatError naming the
/// file and the line or token.
BytePairFiles read_vocabulary_and_merges(const std::filesystem::path& vocabulary,
                                         const std::filesystem::path& merges);

/// From a `tokenizer.json` of Hugging Face's tokenizers library: its model, which must be a BPE whose words
/// end in `</w>`, with merges as "a b" or ["a", "b"], and its added tokens. Normaliser, pre-tokeniser and
/// post-processor are not read: as in transformers, they belong to the class of the tokenizer. Throws as
/// above, and ConfigError for another model.
BytePairFiles read_tokenizer_json(const std::filesystem::path& path);

/// Throws FormatError, in the name of `source`, unless the ids are 0, 1, 2 … without holes, each once.
void check_ids(const BytePairEncoder::Vocabulary& vocabulary, const std::string& source);
/// Throws FormatError in the name of `source`.
[[noreturn]] void malformed(const std::string& source, const std::string& problem);
/// Throws FormatError: `found` is no id for `token`.
[[noreturn]] void refuse_id(const std::string& source, std::string_view token, std::string_view found);
/// Largest id.
inline constexpr std::uint64_t max_token_id = 0x7FFFFFFF;

}  // namespace daguerre::text
