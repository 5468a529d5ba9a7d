#include "text/unigram.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/text.hpp"
#include "daguerre/text/unicode.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {
namespace {

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

/// Whether pieces of that kind are looked for in text.
bool is_spelled(PieceKind kind) {
  return kind == PieceKind::normal || kind == PieceKind::user_defined || kind == PieceKind::unused;
}

void append(NormalizedText& to, std::string_view text, std::size_t source) {
  to.text += text;
  to.source.insert(to.source.end(), text.size(), source);
}

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

UnigramModel::UnigramModel(UnigramFile file, const std::string& source)
    : pieces_(std::move(file.pieces)),
      byte_fallback_(file.byte_fallback),
      normalizer_(std::move(file.normalizer)) {
  sorted_.resize(pieces_.size());
  for (std::size_t i = 0; i < sorted_.size(); ++i) sorted_[i] = static_cast<std::int32_t>(i);
  const auto text_of = [this](std::int32_t id) -> const std::string& {
    return pieces_[static_cast<std::size_t>(id)].text;
  };
  std::sort(sorted_.begin(), sorted_.end(),
            [&](std::int32_t a, std::int32_t b) { return text_of(a) < text_of(b); });
  check(source);
  first_of_.assign(257, static_cast<std::uint32_t>(sorted_.size()));
  for (std::size_t i = sorted_.size(); i-- > 0;)
    first_of_[static_cast<unsigned char>(text_of(sorted_[i])[0])] = static_cast<std::uint32_t>(i);
  for (std::size_t byte = 256; byte-- > 0;) first_of_[byte] = std::min(first_of_[byte], first_of_[byte + 1]);

  // As the reference has it: the greatest is positive, whatever the scores.
  least_score_ = std::numeric_limits<float>::max();
  greatest_score_ = std::numeric_limits<float>::min();
  for (const auto& piece : pieces_) {
    if (piece.kind != PieceKind::normal) continue;
    least_score_ = std::min(least_score_, piece.score);
    greatest_score_ = std::max(greatest_score_, piece.score);
  }
}

void UnigramModel::check(const std::string& source) {
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
  for (std::size_t i = 1; i < sorted_.size(); ++i) {
    const auto& text = pieces_[static_cast<std::size_t>(sorted_[i])].text;
    if (text == pieces_[static_cast<std::size_t>(sorted_[i - 1])].text)
      malformed(source, "the piece " + in_quotes(text) + " is there twice");
  }
  if (!byte_fallback_) return;
  for (int byte = 0; byte < 256; ++byte) {
    const auto text = byte_piece(static_cast<unsigned char>(byte));
    const auto id = find(text);
    if (id < 0 || pieces_[static_cast<std::size_t>(id)].kind != PieceKind::byte)
      malformed(source, "there is no piece " + text + " for a byte, though unknown text is to be spelled so");
    byte_ids_.push_back(id);
  }
}

std::int32_t UnigramModel::find(std::string_view piece) const noexcept {
  const auto text_of = [this](std::int32_t id) {
    return std::string_view(pieces_[static_cast<std::size_t>(id)].text);
  };
  const auto at =
      std::lower_bound(sorted_.begin(), sorted_.end(), piece,
                       [&](std::int32_t id, std::string_view text) { return text_of(id) < text; });
  return at == sorted_.end() || text_of(*at) != piece ? -1 : *at;
}

/// found(id, length) for every piece that `text`, which is not empty, begins with, shortest first.
template <class Found>
void UnigramModel::for_each_prefix(std::string_view text, const Found& found) const {
  const auto first = static_cast<unsigned char>(text[0]);
  auto begin = sorted_.begin() + first_of_[first], end = sorted_.begin() + first_of_[first + 1u];
  for (std::size_t length = 1; begin != end; ++length) {
    // Of those that agree in `length` bytes, the one that ends here is the first.
    if (pieces_[static_cast<std::size_t>(*begin)].text.size() == length) found(*begin++, length);
    if (length == text.size()) return;
    const auto byte_of = [&](std::int32_t id) {
      return static_cast<unsigned char>(pieces_[static_cast<std::size_t>(id)].text[length]);
    };
    const auto byte = static_cast<unsigned char>(text[length]);
    begin = std::lower_bound(begin, end, byte,
                             [&](std::int32_t id, unsigned char value) { return byte_of(id) < value; });
    end = std::upper_bound(begin, end, byte,
                           [&](unsigned char value, std::int32_t id) { return value < byte_of(id); });
  }
}

/// Of the longest user-defined piece that `text` begins with; 0 where there is none.
std::size_t UnigramModel::user_defined_length(std::string_view text) const noexcept {
  std::size_t longest = 0;
  if (has_user_defined_)
    for_each_prefix(text, [&](std::int32_t id, std::size_t length) {
      if (pieces_[static_cast<std::size_t>(id)].kind == PieceKind::user_defined) longest = length;
    });
  return longest;
}

NormalizedText UnigramModel::normalize(std::string_view text) const {
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
  const auto& [charsmap, add_prefix, removes, escapes, prefix_behind] = normalizer_;
  const std::string_view space = escapes ? metaspace : std::string_view(" ");

  NormalizedText result;
  std::size_t at = 0;
  while (removes && at < text.size()) {
    const auto [length, becomes] = next(at);
    if (becomes != " ") break;
    at += length;
  }
  if (at == text.size()) return result;
  if (add_prefix && !prefix_behind) append(result, space, at);
  bool after_space = removes;
  while (at < text.size()) {
    auto [length, becomes] = next(at);
    while (after_space && becomes.starts_with(' ')) becomes.remove_prefix(1);
    for (const char& byte : becomes) {
      if (byte == ' ')
        append(result, space, at);
      else
        append(result, {&byte, 1}, at);
    }
    if (!becomes.empty()) after_space = becomes.ends_with(' ');
    after_space &= removes;
    at += length;
  }
  while (removes && result.text.ends_with(space)) cut_back(result, result.text.size() - space.size());
  if (add_prefix && prefix_behind) append(result, space, text.size());
  return result;
}

NormalizedText UnigramModel::normalize_as_fast(std::string_view text, const FastOptions& options) const {
  NormalizedText mapped;
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    const auto match = normalizer_.charsmap.longest(rest);
    const std::size_t length = match.length > 0 ? match.length : utf8_sequence_length(rest);
    append(mapped,
           match.length > 0 ? match.text
           : length == 0    ? replacement_character
                            : rest.substr(0, length),
           at);
    at += std::max<std::size_t>(length, 1);
  }
  const auto characters = decode_utf8(mapped.text);
  std::size_t count = characters.size();
  while (count > 0 && is_space(characters[count - 1].code)) --count;
  const auto is_blank = [&](std::size_t i) {
    return characters[i].code == U' ' || (options.any_whitespace && is_space(characters[i].code));
  };

  NormalizedText result;
  if (count > 0 && options.prefix && !is_blank(0) && !mapped.text.starts_with(metaspace))
    append(result, metaspace, mapped.source[0]);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = characters[i].source;
    const std::size_t end = i + 1 < characters.size() ? characters[i + 1].source : mapped.text.size();
    if (!is_blank(i))
      append(result, std::string_view(mapped.text).substr(begin, end - begin), mapped.source[begin]);
    else if (i == 0 || !is_blank(i - 1))
      append(result, metaspace, mapped.source[begin]);
  }
  return result;
}

std::vector<UnigramModel::Token> UnigramModel::best_path(std::string_view text) const {
  constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  struct Node {
    std::int32_t id = -1;
    float score = 0.0f;  ///< of the best path that ends here
    std::uint32_t begin = none;
  };
  std::vector<Node> ends(text.size() + 1);
  const float unknown_score = least_score_ - 10.0f;
  const auto offer = [&](std::size_t end, std::size_t begin, std::int32_t id, auto score) {
    if (ends[end].begin == none || score > ends[end].score)
      ends[end] = {id, static_cast<float>(score), static_cast<std::uint32_t>(begin)};
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    const float before = ends[at].score;
    const std::size_t character = std::max<std::size_t>(utf8_sequence_length(rest), 1);
    bool is_single_known = false;
    for_each_prefix(rest, [&](std::int32_t id, std::size_t length) {
      const auto& piece = pieces_[static_cast<std::size_t>(id)];
      if (piece.kind == PieceKind::unused || !is_spelled(piece.kind)) return;
      // The reference's mixture of float and double.
      const double score = piece.kind == PieceKind::user_defined
                               ? static_cast<double>(static_cast<float>(length) * greatest_score_) - 0.1
                               : static_cast<double>(piece.score);
      offer(at + length, at, id, score + static_cast<double>(before));
      is_single_known |= length == character;
    });
    if (!is_single_known) offer(at + character, at, unknown_, unknown_score + before);
    at += character;
  }
  std::vector<Token> path;
  for (std::size_t end = text.size(); end > 0; end = ends[end].begin)
    path.push_back({ends[end].id, ends[end].begin});
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<UnigramModel::Token> UnigramModel::encode(std::string_view text) const {
  const auto path = best_path(text);
  std::vector<Token> result;
  result.reserve(path.size());
  bool after_unknown = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool is_unknown = path[i].id == unknown_;
    if (is_unknown && byte_fallback_) {
      const std::size_t end = i + 1 < path.size() ? path[i + 1].begin : text.size();
      for (std::size_t at = path[i].begin; at < end; ++at)
        result.push_back({byte_ids_[static_cast<unsigned char>(text[at])], at});
    } else if (!is_unknown || !after_unknown) {
      result.push_back(path[i]);
    }
    after_unknown = is_unknown;
  }
  return result;
}

}  // namespace daguerre::text
