#include "text/bpe_tokenizer.hpp"

#include <algorithm>
#include <utility>

#include "core/text.hpp"
#include "daguerre/text/unicode.hpp"

namespace daguerre::text {

class BpeTokenizer::Decoder final : public IncrementalDecoder {
 public:
  Decoder(const BpeTokenizer& tokenizer, bool skips_special)
      : tokenizer_(tokenizer), skips_special_(skips_special), text_(tokenizer.decoder_.begin()) {}
  void push(std::int32_t id) override {
    const auto* token = tokenizer_.text_of(id);
    if (!token || (skips_special_ && tokenizer_.is_special(id))) return;
    tokenizer_.decoder_.add(*token, first_, text_);
    first_ = false;
  }
  const std::string& settled() const noexcept override { return text_.settled(); }
  std::string unsettled() const override { return text_.unsettled(); }

 private:
  const BpeTokenizer& tokenizer_;
  bool skips_special_, first_ = true;
  DecodedText text_;
};

BpeTokenizer::BpeTokenizer(BpeParts parts, Properties properties)
    : LanguageTokenizer(std::move(properties)),
      model_(std::move(parts.files.vocabulary), parts.files.merges, std::move(parts.model), source()),
      normalizer_(std::move(parts.normalizer)),
      pre_tokenizer_(std::move(parts.pre_tokenizer)),
      decoder_(std::move(parts.decoder)),
      before_(std::move(parts.before)),
      behind_(std::move(parts.behind)) {
  size_ = static_cast<Index>(model_.size());
  std::vector<AddedToken> raw, normalized;
  for (auto& token : parts.files.added) {
    // An id that the vocabulary has is the vocabulary's, and a token that it has keeps that id.
    const auto* known = model_.token_of(token.id);
    if ((known && *known != token.content) || model_.find(token.content).value_or(token.id) != token.id)
      malformed(source(), "added token " + in_quotes(token.content) + " has the id " +
                              std::to_string(token.id) + ", the vocabulary has another token there, or it " +
                              "at another");
    size_ = std::max(size_, Index{token.id} + 1);
    added_.insert_or_assign(token.id, token);
    if (token.normalized) {
      token.content = to_utf8(normalizer_.run(decode_utf8(token.content)));
      if (!token.content.empty()) normalized.push_back(std::move(token));
    } else {
      raw.push_back(std::move(token));
    }
  }
  raw_ = AddedTokens(std::move(raw), source());
  normalized_ = AddedTokens(std::move(normalized), source());
}

std::vector<std::int32_t> BpeTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<std::int32_t> ids;
  if (options.add_special_tokens) ids = before_;
  BpeModel::Scratch scratch;
  const auto encode_part = [&](std::string_view part, bool first) {
    const auto words = pre_tokenizer_.run(decode_utf8(part), first);
    for (const auto& [begin, end] : words.parts)
      model_.encode(std::span<const Char>(words.text).subspan(begin, end - begin), scratch, ids);
  };
  for (const auto& section : raw_.cut(text, options.parse_special_tokens)) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      continue;
    }
    bool first = section.text.data() == text.data();
    const auto normalized = to_utf8(normalizer_.run(decode_utf8(section.text)));
    for (const auto& part : normalized_.cut(normalized, options.parse_special_tokens)) {
      if (part.id >= 0)
        ids.push_back(part.id);
      else
        encode_part(part.text, first);
      first = false;
    }
  }
  if (options.add_special_tokens) ids.insert(ids.end(), behind_.begin(), behind_.end());
  return ids;
}

std::unique_ptr<IncrementalDecoder> BpeTokenizer::decoder(bool skip_special_tokens) const {
  return std::make_unique<Decoder>(*this, skip_special_tokens);
}

std::optional<std::int32_t> BpeTokenizer::id_of(std::string_view token) const {
  if (const auto id = model_.find(token)) return id;
  for (const auto& [id, added] : added_)
    if (added.content == token) return id;
  return std::nullopt;
}

const std::string* BpeTokenizer::text_of(std::int32_t id) const noexcept {
  const auto at = added_.find(id);
  return at == added_.end() ? model_.token_of(id) : &at->second.content;
}

std::optional<std::string> BpeTokenizer::token_of(std::int32_t id) const {
  const auto* token = text_of(id);
  return token ? std::optional(*token) : std::nullopt;
}

bool BpeTokenizer::is_special(std::int32_t id) const {
  const auto at = added_.find(id);
  return at != added_.end() && at->second.special;
}

}  // namespace daguerre::text
