#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace daguerre::text {

/// What CLIP's byte-pair vocabularies put behind the last piece of a word.
inline constexpr std::string_view end_of_word = "</w>";

/// GPT-2's alphabet: the code point that stands for a byte in vocab.json and merges.txt, so that every byte
/// is visible. Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and on.
char32_t byte_to_char(unsigned char byte) noexcept;
/// The inverse; -1 when `code` stands for no byte.
int char_to_byte(char32_t code) noexcept;

/// In what order pairs are joined. It matters only where joining makes a pair of a lower rank than the one
/// just joined, which a vocabulary as trained does not have.
enum class MergeOrder {
  one_by_one,   ///< always the first pair of lowest rank: Hugging Face's tokenizers
  rank_by_rank  ///< all pairs of the lowest rank, from left to right, before another look: openai/CLIP
};

/// Byte-pair encoding of words. Immutable once its merges are in.
class BytePairEncoder {
 public:
  using Vocabulary = std::unordered_map<std::string, std::int32_t>;
  struct Merge {
    std::int32_t left, right, joined;
  };
  /// Memory that `encode` uses again from word to word.
  struct Scratch;

  /// `merges` in the order of their ranks (of two equal pairs the later one counts); bytes that the
  /// vocabulary lacks become `unknown`.
  BytePairEncoder(const Vocabulary& vocabulary, const std::vector<Merge>& merges, std::int32_t unknown,
                  MergeOrder order);

  /// Appends the ids of one word, given as UTF-8. Takes O(n log n) for n bytes.
  void encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  struct Rule {
    std::uint32_t rank;
    std::int32_t joined;
  };
  struct PairHash {
    std::size_t operator()(std::uint64_t key) const noexcept;
  };
  void push(std::uint32_t left, std::uint32_t right, Scratch& scratch) const;
  void join_all(Scratch& scratch) const;

  std::array<std::int32_t, 256> inner_{};  // ids of single bytes within a word
  std::array<std::int32_t, 256> last_{};   // and at its end
  std::unordered_map<std::uint64_t, Rule, PairHash> rules_;
  MergeOrder order_;
};

struct BytePairEncoder::Scratch {
  struct Symbol {
    std::int32_t id;  // -1: joined to the one before it
    std::uint32_t previous, next;
  };
  struct Candidate {
    std::uint32_t rank, position;
    std::int32_t joined;
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> queue, batch;
};

}  // namespace daguerre::text
