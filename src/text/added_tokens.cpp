#include "text/added_tokens.hpp"

#include "core/text.hpp"
#include "daguerre/text/unicode.hpp"

namespace daguerre::text {
namespace {

constexpr std::size_t longest_added = 256;

/// `\w`
bool is_word_character(char32_t code) {
  const auto category = category_of(code);
  return is_letter(code) || (category >= Category::Mc && category <= Category::Nl) ||
         category == Category::Pc;
}

std::size_t first_length(std::string_view text) {
  return std::max<std::size_t>(utf8_sequence_length(text), 1);
}
char32_t first_character(std::string_view text) {
  return decode_utf8(text.substr(0, first_length(text)))[0].code;
}
/// The last character of a text and what follows it.
std::string_view from_last(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return text.substr(at);
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word_character(first_character(from_last(text.substr(0, begin))))) return false;
  return end == text.size() || !is_word_character(first_character(text.substr(end)));
}

/// Where the white space before `at` begins, not before `from`.
std::size_t space_before(std::string_view text, std::size_t from, std::size_t at) {
  while (at > from) {
    const auto last = from_last(text.substr(from, at - from));
    if (!is_space(first_character(last))) break;
    at -= last.size();
  }
  return at;
}

std::size_t space_behind(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(first_character(text.substr(at)))) at += first_length(text.substr(at));
  return at;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const std::string& source)
    : tokens_(std::move(tokens)) {
  for (const auto& token : tokens_) {
    if (token.content.empty()) malformed(source, "an added token is empty");
    if (token.content.size() > longest_added)
      malformed(source, "an added token of " + std::to_string(token.content.size()) +
                            " bytes: " + in_quotes(token.content));
  }
  index_ = PieceIndex(tokens_.size(), [this](std::int32_t place) -> const std::string& {
    return tokens_[static_cast<std::size_t>(place)].content;
  });
}

const AddedToken* AddedTokens::longest(std::string_view text, bool parse_special) const {
  const AddedToken* result = nullptr;
  index_.for_each_prefix(
      text,
      [this](std::int32_t place) -> const std::string& {
        return tokens_[static_cast<std::size_t>(place)].content;
      },
      [&](std::int32_t place, std::size_t) {
        const auto& token = tokens_[static_cast<std::size_t>(place)];
        if (parse_special || !token.special) result = &token;
      });
  return result;
}

std::vector<AddedTokens::Part> AddedTokens::cut(std::string_view text, bool parse_special) const {
  std::vector<Part> parts;
  std::size_t done = 0;
  const auto between = [&](std::size_t end) {
    if (end > done) parts.push_back({text.substr(done, end - done)});
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto* token = longest(text.substr(at), parse_special);
    if (!token) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->lstrip) begin = space_before(text, done, begin);
    if (token->rstrip) at = end = space_behind(text, end);
    between(begin);
    parts.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  between(text.size());
  return parts;
}

}  // namespace daguerre::text
