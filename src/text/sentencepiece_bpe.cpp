#include "text/sentencepiece_bpe.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include "core/text.hpp"

namespace daguerre::text {

/// One text on its way.
class SentencePieceBpe::Run {
 public:
  Run(const SentencePieceBpe& model, std::string_view text) : model_(model), text_(text) {}

  void join_all() {
    cut();
    for (std::uint32_t i = 0; i + 1 < symbols_.size(); ++i) offer(i, i + 1);
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      Symbol& left = symbols_[top.left];
      // One of the two was joined to something else since.
      if (left.size == 0 || left.next == nowhere || left.size + symbols_[left.next].size != top.size ||
          left.next != top.right)
        continue;
      Symbol& right = symbols_[top.right];
      left.size = top.size;
      right.size = 0;
      left.next = right.next;
      if (left.next != nowhere) symbols_[left.next].previous = top.left;
      if (left.previous != nowhere) offer(left.previous, top.left);
      if (left.next != nowhere) offer(top.left, left.next);
    }
  }

  /// visit(text, id) for what is left, in order; id -1: no piece.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const auto& symbol : symbols_)
      if (symbol.size > 0) take_apart(text_.substr(symbol.begin, symbol.size), visit);
  }

 private:
  static constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();
  struct Symbol {
    std::size_t begin, size;  // joined to the one before: of no size
    std::uint32_t previous, next;
    bool is_whole;  // user-defined
  };
  struct Candidate {
    float score;
    std::uint32_t left, right;
    std::size_t size;
    /// For a queue whose top has the greatest score, the leftmost of these.
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };

  void cut() {
    for (std::size_t at = 0; at < text_.size();) {
      const auto rest = text_.substr(at);
      const std::size_t whole = model_.pieces_.user_defined_length(rest);
      const std::size_t size = whole > 0 ? whole : std::max<std::size_t>(utf8_sequence_length(rest), 1);
      const auto place = static_cast<std::uint32_t>(symbols_.size());
      symbols_.push_back({at, size, place == 0 ? nowhere : place - 1, place + 1, whole > 0});
      at += size;
    }
    if (!symbols_.empty()) symbols_.back().next = nowhere;
  }

  void offer(std::uint32_t left, std::uint32_t right) {
    const Symbol &a = symbols_[left], &b = symbols_[right];
    if (a.is_whole || b.is_whole) return;
    const auto text = text_.substr(a.begin, a.size + b.size);
    const auto id = model_.find_spelled(text);
    if (id < 0) return;
    queue_.push({model_.pieces_[id].score, left, right, text.size()});
    // What a piece that is not to be used was joined of.
    if (model_.pieces_[id].kind == PieceKind::unused) parts_[text] = a.size;
  }

  /// visit(text, id) of a symbol or, of a piece that is not to be used, of what it was joined of.
  template <class Visit>
  void take_apart(std::string_view symbol, const Visit& visit) const {
    std::vector<std::string_view> rest{symbol};
    while (!rest.empty()) {
      const auto text = rest.back();
      rest.pop_back();
      const auto id = model_.find_spelled(text);
      const bool is_unused = id >= 0 && model_.pieces_[id].kind == PieceKind::unused;
      const auto parts = is_unused ? parts_.find(text) : parts_.end();
      if (parts == parts_.end()) {
        visit(text, id);
        continue;
      }
      rest.push_back(text.substr(parts->second));
      rest.push_back(text.substr(0, parts->second));
    }
  }

  const SentencePieceBpe& model_;
  std::string_view text_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
  std::unordered_map<std::string_view, std::size_t> parts_;
};

SentencePieceBpe::SentencePieceBpe(SentencePieceFile file, const std::string& source)
    : pieces_(std::move(file), source) {
  const auto pieces = pieces_.pieces();
  spelled_.reserve(pieces.size());
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const auto& [text, score, kind] = pieces[id];
    if (kind != PieceKind::normal && kind != PieceKind::user_defined && kind != PieceKind::unused) continue;
    spelled_.emplace(text, static_cast<std::int32_t>(id));
    longest_ = std::max(longest_, text.size());
  }
}

std::int32_t SentencePieceBpe::find_spelled(std::string_view text) const {
  if (text.size() > longest_) return -1;
  const auto at = spelled_.find(text);
  return at == spelled_.end() ? -1 : at->second;
}

void SentencePieceBpe::encode(std::string_view normalized, std::vector<std::int32_t>& ids) const {
  Run run(*this, normalized);
  run.join_all();
  const auto byte_ids = pieces_.byte_ids();
  bool after_unknown = false;
  run.for_each([&](std::string_view text, std::int32_t id) {
    if (id >= 0)
      ids.push_back(id);
    else if (!byte_ids.empty())
      for (const char byte : text) ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    else if (!after_unknown)
      ids.push_back(pieces_.unknown_id());
    after_unknown = id < 0;
  });
}

}  // namespace daguerre::text
