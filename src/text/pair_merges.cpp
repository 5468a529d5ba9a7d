#include "text/pair_merges.hpp"

#include <algorithm>
#include <limits>

namespace daguerre::text {
namespace {

constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();

std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// For a heap whose top is the candidate of lowest rank, the leftmost of these.
constexpr auto comes_later = [](const auto& a, const auto& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
};

}  // namespace

std::size_t PairMerges::PairHash::operator()(std::uint64_t key) const noexcept {
  // The finaliser of splitmix64: ids are small and regular, the table's buckets should not be.
  key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9u;
  key = (key ^ key >> 27) * 0x94D049BB133111EBu;
  return static_cast<std::size_t>(key ^ key >> 31);
}

PairMerges::PairMerges(std::span<const PairMerge> merges, MergeOrder order) : order_(order) {
  rules_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const PairMerge& merge : merges)
    rules_.insert_or_assign(key_of(merge.left, merge.right), Rule{rank++, merge.joined});
}

void PairMerges::push(std::uint32_t left, std::uint32_t right, Scratch& scratch) const {
  const auto rule = rules_.find(key_of(scratch.symbols_[left].id, scratch.symbols_[right].id));
  if (rule != rules_.end()) scratch.queue_.push_back({rule->second.rank, left, rule->second.joined});
}

void PairMerges::join_all(Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  auto& queue = scratch.queue_;
  auto& batch = scratch.batch_;
  const auto pop = [&queue] {
    std::pop_heap(queue.begin(), queue.end(), comes_later);
    const auto top = queue.back();
    queue.pop_back();
    return top;
  };
  // Joins a queued pair unless it has changed since it was queued.
  const auto join = [&](const Scratch::Candidate& candidate) {
    auto& left = symbols[candidate.position];
    if (left.id < 0 || left.next == nowhere) return false;
    auto& right = symbols[left.next];
    const auto rule = rules_.find(key_of(left.id, right.id));
    if (rule == rules_.end()) return false;
    // Hugging Face's code only asks for the same result, openai's for the same pair.
    if (order_ == MergeOrder::one_by_one ? rule->second.joined != candidate.joined
                                         : rule->second.rank != candidate.rank)
      return false;
    left.id = candidate.joined;
    right.id = -1;
    left.next = right.next;
    if (left.next != nowhere) symbols[left.next].previous = candidate.position;
    return true;
  };
  // Queues the pairs that a symbol now forms with its neighbours.
  const auto queue_neighbours = [&](std::uint32_t position) {
    const auto& symbol = symbols[position];
    const auto add = [&](std::uint32_t left, std::uint32_t right) {
      const std::size_t size = queue.size();
      push(left, right, scratch);
      if (queue.size() > size) std::push_heap(queue.begin(), queue.end(), comes_later);
    };
    if (symbol.previous != nowhere) add(symbol.previous, position);
    if (symbol.next != nowhere) add(position, symbol.next);
  };

  std::make_heap(queue.begin(), queue.end(), comes_later);
  while (!queue.empty()) {
    batch.assign(1, pop());
    if (order_ == MergeOrder::rank_by_rank)
      while (!queue.empty() && queue.front().rank == batch.front().rank) batch.push_back(pop());
    std::size_t joined = 0;
    for (const auto& candidate : batch)
      if (join(candidate)) batch[joined++] = candidate;
    batch.resize(joined);
    for (const auto& candidate : batch) queue_neighbours(candidate.position);
  }
}

void PairMerges::Scratch::add(std::int32_t id) {
  const auto position = static_cast<std::uint32_t>(symbols_.size());
  if (position > 0) symbols_.back().next = position;
  symbols_.push_back({id, position == 0 ? nowhere : position - 1, nowhere});
}

void PairMerges::join(Scratch& scratch, std::vector<std::int32_t>& ids) const {
  const auto& symbols = scratch.symbols_;
  if (symbols.empty()) return;
  scratch.queue_.clear();
  for (std::uint32_t i = 0; i + 1 < symbols.size(); ++i) push(i, i + 1, scratch);
  join_all(scratch);
  for (std::uint32_t i = 0; i != nowhere; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace daguerre::text
