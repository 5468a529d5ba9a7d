#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/pair_merges.hpp"

namespace daguerre::text {

/// What CLIP's byte-pair vocabularies put behind the last piece of a word.
inline constexpr std::string_view end_of_word = "</w>";

/// GPT-2's alphabet: the code point that stands for a byte in vocab.json and merges.txt, so that every byte
/// is visible. Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and on.
char32_t byte_to_char(unsigned char byte) noexcept;
/// The inverse; -1 when `code` stands for no byte.
int char_to_byte(char32_t code) noexcept;

/// Byte-pair encoding of words as CLIP has it. Immutable.
class BytePairEncoder {
 public:
  using Vocabulary = std::unordered_map<std::string, std::int32_t>;
  using Scratch = PairMerges::Scratch;

  /// `merges` in the order of their ranks; bytes that the vocabulary lacks become `unknown`.
  BytePairEncoder(const Vocabulary& vocabulary, const std::vector<PairMerge>& merges, std::int32_t unknown,
                  MergeOrder order);

  /// Appends the ids of one word, given as UTF-8. Takes O(n log n) for n bytes.
  void encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  std::array<std::int32_t, 256> inner_{};  // ids of single bytes within a word
  std::array<std::int32_t, 256> last_{};   // and at its end
  PairMerges merges_;
};

}  // namespace daguerre::text
