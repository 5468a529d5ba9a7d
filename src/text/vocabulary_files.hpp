#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/strict_sax.hpp"
#include "text/byte_pair.hpp"

namespace daguerre::text {

/// A token that is looked for in the text as a whole.
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  /// Looked for in the text after it was normalised (its content is, too), else in the text as it was typed.
  bool normalized = true;
  bool special = false;  ///< decoding may leave it out
  // What of the text around it goes with it, and whether it must stand alone.
  bool lstrip = false, rstrip = false, single_word = false;
};

/// What byte-pair encoding works with.
struct BytePairFiles {
  BytePairEncoder::Vocabulary vocabulary;
  std::vector<PairMerge> merges;
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

/// Throws ConfigError where one of the tokens must stand alone, which CLIP's and T5's never must.
void refuse_single_words(const std::vector<AddedToken>& tokens, const std::string& source);

/// Throws FormatError, in the name of `source`, unless the ids are 0, 1, 2 … without holes, each once.
void check_ids(const BytePairEncoder::Vocabulary& vocabulary, const std::string& source);
/// Throws FormatError in the name of `source`.
[[noreturn]] void malformed(const std::string& source, const std::string& problem);
/// Throws FormatError: `found` is no id for `token`.
[[noreturn]] void refuse_id(const std::string& source, std::string_view token, std::string_view found);
/// Joins one entry; throws FormatError for an id that is none, and for too many.
void add_entry(BytePairEncoder::Vocabulary& vocabulary, const std::string& source, const JsonString& token,
               std::uint64_t id);

/// What files may have at most: twice the size of the largest published ones, a tokenizer.json of 262,144
/// tokens, twice its entries and merges, and many times its added tokens.
inline constexpr std::size_t max_vocabulary_bytes = std::size_t{64} << 20, max_tokens = std::size_t{1} << 19,
                             max_merges = std::size_t{1} << 20, max_added_tokens = std::size_t{1} << 16;
/// Largest id.
inline constexpr std::uint64_t max_token_id = 0x7FFFFFFF;

}  // namespace daguerre::text
