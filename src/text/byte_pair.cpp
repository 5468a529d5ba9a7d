#include "text/byte_pair.hpp"

#include <algorithm>
#include <limits>

#include "daguerre/text/unicode.hpp"

namespace daguerre::text {
namespace {

constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();

constexpr bool stands_for_itself(char32_t code) {
  return (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) || (code >= 0xAE && code <= 0xFF);
}

struct Alphabet {
  std::array<char32_t, 256> chars{};
  std::array<unsigned char, 68> bytes{};  // of U+0100 and on
};

constexpr Alphabet alphabet = [] {
  Alphabet result;
  char32_t next = 0;
  for (char32_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      result.chars[byte] = byte;
    } else {
      result.bytes[next] = static_cast<unsigned char>(byte);
      result.chars[byte] = 0x100 + next++;
    }
  }
  return result;
}();

std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// For a heap whose top is the candidate of lowest rank, the leftmost of these.
constexpr auto comes_later = [](const auto& a, const auto& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
};

}  // namespace

char32_t byte_to_char(unsigned char byte) noexcept {
  return alphabet.chars[byte];
}

int char_to_byte(char32_t code) noexcept {
  if (stands_for_itself(code)) return static_cast<int>(code);
  return code - 0x100 < alphabet.bytes.size() ? alphabet.bytes[code - 0x100] : -1;
}

std::size_t BytePairEncoder::PairHash::operator()(std::uint64_t key) const noexcept {
  // The finaliser of splitmix64: ids are small and regular, the table's buckets should not be.
  key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9u;
  key = (key ^ key >> 27) * 0x94D049BB133111EBu;
  return static_cast<std::size_t>(key ^ key >> 31);
}

BytePairEncoder::BytePairEncoder(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                                 std::int32_t unknown, MergeOrder order)
    : order_(order) {
  const auto id_of = [&](const std::string& token) {
    const auto at = vocabulary.find(token);
    return at == vocabulary.end() ? unknown : at->second;
  };
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::string token;
    append_utf8(token, byte_to_char(static_cast<unsigned char>(byte)));
    inner_[byte] = id_of(token);
    last_[byte] = id_of(token.append(end_of_word));
  }
  rules_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const Merge& merge : merges)
    rules_.insert_or_assign(key_of(merge.left, merge.right), Rule{rank++, merge.joined});
}

void BytePairEncoder::push(std::uint32_t left, std::uint32_t right, Scratch& scratch) const {
  const auto rule = rules_.find(key_of(scratch.symbols[left].id, scratch.symbols[right].id));
  if (rule != rules_.end()) scratch.queue.push_back({rule->second.rank, left, rule->second.joined});
}

void BytePairEncoder::join_all(Scratch& scratch) const {
  auto& [symbols, queue, batch] = scratch;
  const auto pop = [&queue = queue] {
    std::pop_heap(queue.begin(), queue.end(), comes_later);
    const auto top = queue.back();
    queue.pop_back();
    return top;
  };
  // Joins a queued pair unless it has changed since it was queued.
  const auto join = [&, &symbols = symbols](const Scratch::Candidate& candidate) {
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
  const auto queue_neighbours = [&, &symbols = symbols, &queue = queue](std::uint32_t position) {
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

void BytePairEncoder::encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  auto& symbols = scratch.symbols;
  const auto size = static_cast<std::uint32_t>(word.size());
  symbols.clear();
  for (std::uint32_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    const bool last = i + 1 == size;
    symbols.push_back({last ? last_[byte] : inner_[byte], i == 0 ? nowhere : i - 1, last ? nowhere : i + 1});
  }
  scratch.queue.clear();
  for (std::uint32_t i = 0; i + 1 < size; ++i) push(i, i + 1, scratch);
  join_all(scratch);
  for (std::uint32_t i = 0; i != nowhere; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace daguerre::text
