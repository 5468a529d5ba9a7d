#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/charsmap.hpp"
#include "text/piece_index.hpp"

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

/// A piece of a sentencepiece model.
struct SentencePiece {
  std::string text;
  float score = 0.0f;
  PieceKind kind = PieceKind::normal;
};

/// How text is made ready for a sentencepiece model.
struct SentencePieceNormalizer {
  Charsmap charsmap;
  bool add_prefix = true;               ///< a space before the text
  bool remove_extra_whitespace = true;  ///< runs of spaces to one, none at the ends
  bool escape_whitespace = true;        ///< a space is written as U+2581
  bool prefix_behind = false;           ///< the space is put behind the text instead
};

/// What a tokenizer's file says of a sentencepiece model.
struct SentencePieceFile {
  std::vector<SentencePiece> pieces;  ///< by id
  bool byte_fallback = false;
  SentencePieceNormalizer normalizer;
  std::int32_t bos = 1, eos = 2, pad = -1;         ///< -1: there is none
  std::string unknown_surface = " \xE2\x81\x87 ";  ///< what the unknown piece is written as
};

/// Text that was made ready, and where in the original each of its bytes comes from.
struct NormalizedText {
  std::string text;
  std::vector<std::size_t> source;  ///< as many as bytes

  /// `more` is made of what lies at `from`.
  void append(std::string_view more, std::size_t from);
};

/// The pieces of a sentencepiece model of either kind, and how text is made ready for them.
class SentencePieces {
  auto text_of() const {
    return
        [this](std::int32_t id) -> const std::string& { return pieces_[static_cast<std::size_t>(id)].text; };
  }

 public:
  /// Throws FormatError, in the name of `source`, for pieces that are empty or there twice, no or several
  /// unknown ones, scores that are not finite, and bytes without a piece where there should be one each.
  SentencePieces(SentencePieceFile file, const std::string& source);

  std::span<const SentencePiece> pieces() const noexcept { return pieces_; }
  const SentencePiece& operator[](std::int32_t id) const { return pieces_[static_cast<std::size_t>(id)]; }
  const SentencePieceNormalizer& normalizer() const noexcept { return normalizer_; }
  std::int32_t unknown_id() const noexcept { return unknown_; }
  /// The id of that piece, whatever its kind; -1 where there is none.
  std::int32_t find(std::string_view piece) const { return index_.find(piece, text_of()); }
  /// The pieces of the bytes, where unknown text is spelled by these; else none.
  std::span<const std::int32_t> byte_ids() const noexcept { return byte_ids_; }
  /// found(id, length) for every piece that `text`, which is not empty, begins with, shortest first.
  template <class Found>
  void for_each_prefix(std::string_view text, const Found& found) const {
    index_.for_each_prefix(text, text_of(), found);
  }
  /// Of the longest user-defined piece that `text` begins with; 0 where there is none.
  std::size_t user_defined_length(std::string_view text) const;

  /// As sentencepiece's normalizer; `add_prefix` in place of the model's own. A byte that is not part of
  /// UTF-8 becomes U+FFFD.
  NormalizedText normalize(std::string_view text, bool add_prefix) const;

 private:
  void check(bool byte_fallback, const std::string& source);

  std::vector<SentencePiece> pieces_;
  SentencePieceNormalizer normalizer_;
  PieceIndex index_;
  std::vector<std::int32_t> byte_ids_;  // 256, or none
  bool has_user_defined_ = false;
  std::int32_t unknown_ = -1;
};

/// U+FFFD.
inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";
/// U+2581, which stands for a space.
inline constexpr std::string_view metaspace = "\xE2\x96\x81";

/// `<0x0A>`, of that byte.
std::string byte_piece(unsigned char byte);
/// The byte of such a piece; nothing for any other.
std::optional<unsigned char> byte_of_piece(std::string_view piece) noexcept;

}  // namespace daguerre::text
