#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/text/unicode.hpp"
#include "text/pair_merges.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// Byte-pair encoding over characters, as Hugging Face's tokenizers have it. Immutable.
class BpeModel {
 public:
  struct Options {
    std::string unknown;         ///< the token of what the vocabulary lacks; "": that is left out
    bool fuse_unknown = false;   ///< neighbouring unknown characters are one token
    bool byte_fallback = false;  ///< unknown characters are spelled `<0xE2><0x96>…` where these are there
    bool ignore_merges = false;  ///< a word that is in the vocabulary is that token, whatever the merges say
    std::string word_prefix, word_suffix;  ///< of all characters of a word but the first; of the last
  };
  /// From `model`. Throws FormatError and ConfigError naming the source.
  static Options read_options(const nlohmann::json& model, const std::string& source);

  /// Throws FormatError, in the name of `source`, for two tokens of one id, and for an id far beyond their
  /// number.
  BpeModel(BytePairEncoder::Vocabulary vocabulary, std::span<const PairMerge> merges, Options options,
           const std::string& source);
  BpeModel(const BpeModel&) = delete;

  /// Memory that `encode` uses again from word to word.
  struct Scratch {
    PairMerges::Scratch merges;
    std::string word, character;
  };
  /// Appends the ids of one word. Takes O(n log n).
  void encode(std::span<const Char> word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

  std::optional<std::int32_t> find(std::string_view token) const;
  /// nullptr where no token has that id.
  const std::string* token_of(std::int32_t id) const noexcept;
  /// One more than the largest id.
  std::size_t size() const noexcept { return tokens_.size(); }

 private:
  void add_character(std::span<const Char> word, std::size_t at, Scratch& scratch, bool& after_unknown) const;
  std::int32_t find_character(char32_t code, Scratch& scratch) const;

  BytePairEncoder::Vocabulary vocabulary_;
  std::vector<const std::string*> tokens_;  // by id; in vocabulary_
  PairMerges merges_;
  Options options_;
  std::int32_t unknown_ = -1;
  std::array<std::int32_t, 0x180> characters_{};  // ids of single characters; -1
  std::array<std::int32_t, 256> bytes_{};         // ids of byte pieces; -1
};

}  // namespace daguerre::text
