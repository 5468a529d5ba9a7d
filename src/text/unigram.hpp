#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.hpp"

namespace daguerre::text {

/// What a piece of a sentencepiece model is for.
enum class PieceKind : std::uint8_t {
  normal,
  unknown,       ///< stands for what no piece spells; there is one
  control,       ///< never found in text: `</s>`
  user_defined,  ///< always taken whole, and not normalised
  unused,
  byte  ///< `<0x0A>`: what no piece spells, byte by byte
};

struct UnigramPiece {
  std::string text;
  float score = 0.0f;
  PieceKind kind = PieceKind::normal;
};

/// How text is made ready for a unigram model.
struct UnigramNormalizer {
  Charsmap charsmap;
  bool add_prefix = true;               ///< a space before the text
  bool remove_extra_whitespace = true;  ///< runs of spaces to one, none at the ends
  bool escape_whitespace = true;        ///< a space is written as U+2581
  bool prefix_behind = false;           ///< the space is put behind the text instead
};

/// What a tokenizer's file says of a unigram model.
struct UnigramFile {
  std::vector<UnigramPiece> pieces;  ///< by id
  bool byte_fallback = false;
  UnigramNormalizer normalizer;
};

/// Text that was made ready, and where in the original each of its bytes comes from.
struct NormalizedText {
  std::string text;
  std::vector<std::size_t> source;  ///< as many as bytes
};

/// A unigram language model over pieces (Kudo 2018, sec. 3.2): text becomes the sequence of pieces of the
/// greatest likelihood. As sentencepiece has it, to the bit: the same sums in the same order.
class UnigramModel {
 public:
  /// Throws FormatError, in the name of `source`, for pieces that are empty or there twice, no or several
  /// unknown ones, scores that are not finite, and bytes without a piece where there should be one each.
  UnigramModel(UnigramFile file, const std::string& source);

  std::span<const UnigramPiece> pieces() const noexcept { return pieces_; }
  std::int32_t unknown_id() const noexcept { return unknown_; }
  /// The id of that piece, whatever its kind; -1 where there is none.
  std::int32_t find(std::string_view piece) const noexcept;

  /// As sentencepiece's normalizer. A byte that is not part of UTF-8 becomes U+FFFD.
  NormalizedText normalize(std::string_view text) const;
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
  void check(const std::string& source);
  std::size_t user_defined_length(std::string_view text) const noexcept;
  template <class Found>
  void for_each_prefix(std::string_view text, const Found& found) const;
  std::vector<Token> best_path(std::string_view normalized) const;

  std::vector<UnigramPiece> pieces_;
  bool byte_fallback_;
  UnigramNormalizer normalizer_;
  std::vector<std::int32_t> sorted_;     // ids, by their pieces' texts
  std::vector<std::uint32_t> first_of_;  // by a first byte: the first in sorted_; 257 of them
  std::vector<std::int32_t> byte_ids_;   // 256, or none
  bool has_user_defined_ = false;
  std::int32_t unknown_ = -1;
  float least_score_ = 0.0f, greatest_score_ = 0.0f;
};

/// U+2581, which stands for a space.
inline constexpr std::string_view metaspace = "\xE2\x96\x81";

/// `<0x0A>`, of that byte.
std::string byte_piece(unsigned char byte);
/// The byte of such a piece; nothing for any other.
std::optional<unsigned char> byte_of_piece(std::string_view piece) noexcept;

}  // namespace daguerre::text
