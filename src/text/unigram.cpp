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

/// Whether pieces of that kind are looked for in text.
bool is_spelled(PieceKind kind) {
  return kind == PieceKind::normal || kind == PieceKind::user_defined || kind == PieceKind::unused;
}

}  // namespace

UnigramModel::UnigramModel(SentencePieceFile file, const std::string& source)
    : pieces_(std::move(file), source) {
  // As the reference has it: the greatest is positive, whatever the scores.
  least_score_ = std::numeric_limits<float>::max();
  greatest_score_ = std::numeric_limits<float>::min();
  for (const auto& piece : pieces_.pieces()) {
    if (piece.kind != PieceKind::normal) continue;
    least_score_ = std::min(least_score_, piece.score);
    greatest_score_ = std::max(greatest_score_, piece.score);
  }
}

NormalizedText UnigramModel::normalize_as_fast(std::string_view text, const FastOptions& options) const {
  NormalizedText mapped;
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    const auto match = pieces_.normalizer().charsmap.longest(rest);
    const std::size_t length = match.length > 0 ? match.length : utf8_sequence_length(rest);
    mapped.append(match.length > 0 ? match.text
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
    result.append(metaspace, mapped.source[0]);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = characters[i].source;
    const std::size_t end = i + 1 < characters.size() ? characters[i + 1].source : mapped.text.size();
    if (!is_blank(i))
      result.append(std::string_view(mapped.text).substr(begin, end - begin), mapped.source[begin]);
    else if (i == 0 || !is_blank(i - 1))
      result.append(metaspace, mapped.source[begin]);
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
    pieces_.for_each_prefix(rest, [&](std::int32_t id, std::size_t length) {
      const auto& piece = pieces_[id];
      if (piece.kind == PieceKind::unused || !is_spelled(piece.kind)) return;
      // The reference's mixture of float and double.
      const double score = piece.kind == PieceKind::user_defined
                               ? static_cast<double>(static_cast<float>(length) * greatest_score_) - 0.1
                               : static_cast<double>(piece.score);
      offer(at + length, at, id, score + static_cast<double>(before));
      is_single_known |= length == character;
    });
    if (!is_single_known) offer(at + character, at, pieces_.unknown_id(), unknown_score + before);
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
  const auto byte_ids = pieces_.byte_ids();
  std::vector<Token> result;
  result.reserve(path.size());
  bool after_unknown = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool is_unknown = path[i].id == pieces_.unknown_id();
    if (is_unknown && !byte_ids.empty()) {
      const std::size_t end = i + 1 < path.size() ? path[i + 1].begin : text.size();
      for (std::size_t at = path[i].begin; at < end; ++at)
        result.push_back({byte_ids[static_cast<unsigned char>(text[at])], at});
    } else if (!is_unknown || !after_unknown) {
      result.push_back(path[i]);
    }
    after_unknown = is_unknown;
  }
  return result;
}

}  // namespace daguerre::text
