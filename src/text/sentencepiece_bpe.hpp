#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/sentence_pieces.hpp"

namespace daguerre::text {

/// Byte-pair encoding by scores, as sentencepiece has it: of all pairs of neighbours that are a piece, the
/// one of the greatest score is joined, the leftmost of several. User-defined pieces are taken whole.
class SentencePieceBpe {
 public:
  /// Throws what SentencePieces does.
  SentencePieceBpe(SentencePieceFile file, const std::string& source);
  SentencePieceBpe(const SentencePieceBpe&) = delete;

  const SentencePieces& pieces() const noexcept { return pieces_; }
  /// Appends the ids of text that was made ready. What no piece spells becomes bytes or, where there are
  /// none, one unknown piece for each run. Takes O(n log n).
  void encode(std::string_view normalized, std::vector<std::int32_t>& ids) const;

 private:
  class Run;
  /// A piece that text can be; -1 for other text.
  std::int32_t find_spelled(std::string_view text) const;

  SentencePieces pieces_;
  std::unordered_map<std::string_view, std::int32_t> spelled_;  // into pieces_
  std::size_t longest_ = 0;
};

}  // namespace daguerre::text
