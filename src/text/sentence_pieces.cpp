#include "text/sentence_pieces.hpp"

#include <algorithm>
#include <cmath>

#include "core/text.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {
namespace {

void cut_back(NormalizedText& text, std::size_t size) {
  text.text.resize(size);
  text.source.resize(size);
}

}  // namespace

std::string byte_piece(unsigned char byte) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

std::optional<unsigned char> byte_of_piece(std::string_view piece) noexcept {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  int value = 0;
  for (const char digit : piece.substr(3, 2)) {
    const bool is_letter = digit >= 'A' && digit <= 'F';
    if (!is_letter && (digit < '0' || digit > '9')) return std::nullopt;
    value = value * 16 + (is_letter ? digit - 'A' + 10 : digit - '0');
  }
  return static_cast<unsigned char>(value);
}

void NormalizedText::append(std::string_view more, std::size_t from) {
  text += more;
  source.insert(source.end(), more.size(), from);
}

SentencePieces::SentencePieces(SentencePieceFile file, const std::string& source)
    : pieces_(std::move(file.pieces)),
      normalizer_(std::move(file.normalizer)),
      index_(pieces_.size(), text_of()) {
  check(file.byte_fallback, source);
}

void SentencePieces::check(bool byte_fallback, const std::string& source) {
  if (pieces_.empty()) malformed(source, "there are no pieces");
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    const auto& piece = pieces_[id];
    if (piece.text.empty()) malformed(source, "piece " + std::to_string(id) + " is empty");
    if (!std::isfinite(piece.score))
      malformed(source, "the score of " + in_quotes(piece.text) + " is not finite");
    if (piece.kind == PieceKind::byte && !byte_of_piece(piece.text))
      malformed(source, "the piece " + in_quotes(piece.text) + " is said to be a byte");
    has_user_defined_ |= piece.kind == PieceKind::user_defined;
    if (piece.kind != PieceKind::unknown) continue;
    if (unknown_ >= 0) malformed(source, "there are two pieces for what is unknown");
    unknown_ = static_cast<std::int32_t>(id);
  }
  if (unknown_ < 0) malformed(source, "there is no piece for what is unknown");
  const auto& sorted = index_.sorted();
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const auto& text = (*this)[sorted[i]].text;
    if (text == (*this)[sorted[i - 1]].text)
      malformed(source, "the piece " + in_quotes(text) + " is there twice");
  }
  if (!byte_fallback) return;
  for (int byte = 0; byte < 256; ++byte) {
    const auto text = byte_piece(static_cast<unsigned char>(byte));
    const auto id = find(text);
    if (id < 0 || pieces_[static_cast<std::size_t>(id)].kind != PieceKind::byte)
      malformed(source, "there is no piece " + text + " for a byte, though unknown text is to be spelled so");
    byte_ids_.push_back(id);
  }
}

std::size_t SentencePieces::user_defined_length(std::string_view text) const {
  std::size_t longest = 0;
  if (has_user_defined_)
    for_each_prefix(text, [&](std::int32_t id, std::size_t length) {
      if (pieces_[static_cast<std::size_t>(id)].kind == PieceKind::user_defined) longest = length;
    });
  return longest;
}

NormalizedText SentencePieces::normalize(std::string_view text, bool adds_prefix) const {
  // What the text from `at` on begins with, and what that becomes.
  const auto next = [&](std::size_t at) -> std::pair<std::size_t, std::string_view> {
    const auto rest = text.substr(at);
    if (const auto length = user_defined_length(rest); length > 0) return {length, rest.substr(0, length)};
    if (const auto match = normalizer_.charsmap.longest(rest); match.length > 0)
      return {match.length, match.text};
    const std::size_t length = utf8_sequence_length(rest);
    if (length == 0) return {1, replacement_character};
    return {length, rest.substr(0, length)};
  };
  const bool removes = normalizer_.remove_extra_whitespace, escapes = normalizer_.escape_whitespace,
             prefix_behind = normalizer_.prefix_behind;
  const std::string_view space = escapes ? metaspace : std::string_view(" ");

  NormalizedText result;
  std::size_t at = 0;
  while (removes && at < text.size()) {
    const auto [length, becomes] = next(at);
    if (becomes != " ") break;
    at += length;
  }
  if (at == text.size()) return result;
  if (adds_prefix && !prefix_behind) result.append(space, at);
  bool after_space = removes;
  while (at < text.size()) {
    auto [length, becomes] = next(at);
    while (after_space && becomes.starts_with(' ')) becomes.remove_prefix(1);
    for (const char& byte : becomes) {
      if (byte == ' ')
        result.append(space, at);
      else
        result.append({&byte, 1}, at);
    }
    if (!becomes.empty()) after_space = becomes.ends_with(' ');
    after_space &= removes;
    at += length;
  }
  while (removes && result.text.ends_with(space)) cut_back(result, result.text.size() - space.size());
  if (adds_prefix && prefix_behind) result.append(space, text.size());
  return result;
}

}  // namespace daguerre::text
