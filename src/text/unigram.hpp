#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/sentence_pieces.hpp"

namespace daguerre::text {

/// A unigram language model over pieces (Kudo 2018, sec. 3.2): text becomes the sequence of pieces of the
/// greatest likelihood. As sentencepiece has it, to the bit: the same sums in the same order.
class UnigramModel {
 public:
  /// Throws what SentencePieces does.
  UnigramModel(SentencePieceFile file, const std::string& source);

  std::span<const SentencePiece> pieces() const noexcept { return pieces_.pieces(); }
  std::int32_t unknown_id() const noexcept { return pieces_.unknown_id(); }
  /// The id of that piece, whatever its kind; -1 where there is none.
  std::int32_t find(std::string_view piece) const { return pieces_.find(piece); }

  /// As sentencepiece's normalizer. A byte that is not part of UTF-8 becomes U+FFFD.
  NormalizedText normalize(std::string_view text) const {
    return pieces_.normalize(text, pieces_.normalizer().add_prefix);
  }
  struct FastOptions {
    bool prefix = true;           ///< a space before the text, unless one is there
    bool any_whitespace = false;  ///< white space of any kind is a space
  };
  /// As Hugging Face's fast T5 tokenizer: white space of any kind is taken off at the end, runs of spaces
  /// become one.
  NormalizedText normalize_as_fast(std::string_view text, const FastOptions& options) const;

  struct Token {
    std::int32_t id = 0;
    std::size_t begin = 0;  ///< in the normalised text
  };
  /// The best pieces of text that was made ready; neighbouring unknown ones are one, or bytes.
  std::vector<Token> encode(std::string_view normalized) const;

 private:
  std::vector<Token> best_path(std::string_view normalized) const;

  SentencePieces pieces_;
  float least_score_ = 0.0f, greatest_score_ = 0.0f;
};

}  // namespace daguerre::text
