#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace daguerre::text {

/// In what order pairs are joined. It matters only where joining makes a pair of a lower rank than the one
/// just joined, which a vocabulary as trained does not have.
enum class MergeOrder {
  one_by_one,   ///< always the first pair of lowest rank: Hugging Face's tokenizers
  rank_by_rank  ///< all pairs of the lowest rank, from left to right, before another look: openai/CLIP
};

/// Two neighbouring ids and the one that takes their place.
struct PairMerge {
  std::int32_t left, right, joined;
};

/// The merges of byte-pair encoding (Sennrich et al. 2016). Immutable.
class PairMerges {
 public:
  /// Memory that `join` uses again from word to word.
  class Scratch;

  /// `merges` in the order of their ranks; of two equal pairs the later one counts.
  PairMerges(std::span<const PairMerge> merges, MergeOrder order);

  /// Joins the ids of one word, which are in `scratch`, and appends what remains. Takes O(n log n).
  void join(Scratch& scratch, std::vector<std::int32_t>& ids) const;

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

  std::unordered_map<std::uint64_t, Rule, PairHash> rules_;
  MergeOrder order_;
};

class PairMerges::Scratch {
 public:
  /// Begins another word.
  void clear() noexcept { symbols_.clear(); }
  /// Its next id.
  void add(std::int32_t id);

 private:
  friend class PairMerges;
  struct Symbol {
    std::int32_t id;  // -1: joined to the one before it
    std::uint32_t previous, next;
  };
  struct Candidate {
    std::uint32_t rank, position;
    std::int32_t joined;
  };
  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_, batch_;
};

}  // namespace daguerre::text
