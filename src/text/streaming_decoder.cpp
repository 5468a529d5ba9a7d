#include "daguerre/text/streaming_decoder.hpp"

#include <algorithm>
#include <utility>

#include "daguerre/text/unicode.hpp"

namespace daguerre::text {
namespace {

constexpr std::string_view replacement_bytes = "\xEF\xBF\xBD";

/// The blocks that transformers' TextStreamer takes for Chinese.
bool is_chinese(char32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
         (code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B820 && code <= 0x2CEAF) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

/// The last character of well-formed text; 0 where it is empty.
char32_t last_character(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && !begins_character(text[at - 1])) --at;
  return at == 0 ? 0 : decode_utf8(text.substr(at - 1))[0].code;
}

}  // namespace

StreamingDecoder::StreamingDecoder(std::shared_ptr<const LanguageTokenizer> tokenizer, StreamingUnit unit,
                                   bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), unit_(unit), skip_special_tokens_(skip_special_tokens) {
  start_anew();
}

void StreamingDecoder::start_anew() {
  decoder_ = tokenizer_->decoder(skip_special_tokens_);
  printed_ = cursor_ = cursor_characters_ = searched_ = 0;
}

/// What was not given out yet of the settled text and `rest` behind it, up to the byte `end` of both.
std::string StreamingDecoder::take(const std::string& rest, std::size_t end) {
  const std::string& settled = decoder_->settled();
  // Over what was printed, as far as it is settled.
  const auto skip = [&](std::string_view text, std::size_t& at, std::size_t& characters) {
    while (at < text.size() && characters < printed_) {
      ++at;
      while (at < text.size() && !begins_character(text[at])) ++at;
      ++characters;
    }
  };
  skip(settled, cursor_, cursor_characters_);
  std::size_t in_rest = 0, characters = cursor_characters_;
  if (cursor_ == settled.size()) skip(rest, in_rest, characters);
  const std::size_t begin = cursor_ < settled.size() ? cursor_ : settled.size() + in_rest;
  if (begin >= end) return {};
  std::string result = settled.substr(std::min(begin, settled.size()), end - std::min(begin, end));
  if (end > settled.size()) {
    const std::size_t from = begin > settled.size() ? begin - settled.size() : 0;
    result += rest.substr(from, end - settled.size() - from);
  }
  printed_ += static_cast<std::size_t>(std::count_if(result.begin(), result.end(), begins_character));
  return result;
}

std::string StreamingDecoder::push(std::int32_t id) {
  decoder_->push(id);
  const std::string& settled = decoder_->settled();
  const std::string rest = decoder_->unsettled();
  if (unit_ == StreamingUnit::characters) {
    const std::size_t complete = std::min(rest.find(replacement_bytes), rest.size());
    return take(rest, settled.size() + complete);
  }
  const char32_t last = last_character(rest.empty() ? std::string_view(settled) : std::string_view(rest));
  const std::size_t size = settled.size() + rest.size();
  if (last == U'\n') {
    std::string result = take(rest, size);
    start_anew();
    return result;
  }
  if (is_chinese(last)) return take(rest, size);
  if (const auto space = rest.rfind(' '); space != std::string::npos)
    return take(rest, settled.size() + space + 1);
  const std::size_t from = std::max(cursor_, searched_);
  const auto space = std::string_view(settled).substr(from).rfind(' ');
  searched_ = settled.size();
  return space == std::string_view::npos ? std::string() : take(rest, from + space + 1);
}

std::string StreamingDecoder::finish() {
  const std::string rest = decoder_->unsettled();
  std::string result = take(rest, decoder_->settled().size() + rest.size());
  start_anew();
  return result;
}

}  // namespace daguerre::text
