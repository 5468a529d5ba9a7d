#include "text/token_decoder.hpp"

#include "daguerre/text/unicode.hpp"
#include "text/byte_pair.hpp"
#include "text/sentence_pieces.hpp"
#include "text/text_steps.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;

constexpr std::size_t most_stripped = 64;

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string result;
  for (;;) {
    const std::size_t at = text.find(what);
    result += text.substr(0, at);
    if (at == std::string_view::npos) return result;
    result += by;
    text.remove_prefix(at + what.size());
  }
}

/// The bytes that GPT-2's characters stand for; a token with another character is text as it is.
std::string bytes_of(std::string_view token) {
  std::string result;
  for (const Char& character : decode_utf8(token)) {
    const int byte = char_to_byte(character.code);
    if (byte < 0) return std::string(token);
    result += static_cast<char>(byte);
  }
  return result;
}

}  // namespace

TokenDecoder::TokenDecoder(const json& decoder, const std::string& source) : source_(source) {
  for_each_step(decoder, "decoders", source, [&](const json& step) { read_step(step, source); });
}

TokenDecoder TokenDecoder::byte_level() {
  return TokenDecoder(json{{"type", "ByteLevel"}}, "");
}

void TokenDecoder::read_step(const json& step, const std::string& source) {
  const auto type = step_type(step);
  const bool first = spaces_between_;
  spaces_between_ = false;
  const auto refuse = [&] { refuse_step(step, "decoder", source); };
  if (type == "ByteLevel") {
    if (!first) refuse();
    byte_level_ = true;
    reading_ = ByteReading::joined;
  } else if (type == "Metaspace") {
    if (!first || step.value("replacement", json(metaspace)) != metaspace) refuse();
    const bool adds = step.value("add_prefix_space", json(true)) != false;
    drops_first_spaces_ = step.value("prepend_scheme", json(adds ? "always" : "never")) != "never";
    replacements_.emplace_back(metaspace, " ");
  } else if (type == "Replace") {
    const json pattern = step.value("pattern", json()), content = step.value("content", json());
    const json text = pattern.is_object() ? pattern.value("String", json()) : json();
    if (byte_level_ || byte_pieces_ || fused_ || !text.is_string() || text == "" || !content.is_string() ||
        content.get_ref<const std::string&>().size() > longest_content)
      refuse();
    if (replacements_.size() == most_text_steps) refuse_steps("decoder", source);
    replacements_.emplace_back(text.get<std::string>(), content.get<std::string>());
  } else if (type == "ByteFallback") {
    if (byte_level_ || fused_) refuse();
    byte_pieces_ = true;
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Strip") {
    const json count = step.value("start", json(0));
    if ((!fused_ && !byte_level_) || step.value("content", json()) != " " ||
        step.value("stop", json(0)) != 0 || !count.is_number_unsigned() ||
        count.get<std::size_t>() > most_stripped)
      refuse();
    strip_ += count.get<std::size_t>();
  } else {
    refuse();
  }
}

void TokenDecoder::add(std::string_view token, bool first, DecodedText& text) const {
  if (byte_level_) {
    text.add_text(bytes_of(token));
    return;
  }
  std::string piece(token);
  // All of them, as the reference has it.
  if (drops_first_spaces_ && first) piece = replaced(piece, metaspace, "");
  for (const auto& [what, by] : replacements_) {
    piece = replaced(piece, what, by);
    if (piece.size() > most_grown(token.size())) refuse_growth("decoder", source_);
  }
  if (spaces_between_ && !first) piece.insert(0, 1, ' ');
  if (const auto byte = byte_pieces_ ? byte_of_piece(piece) : std::nullopt)
    text.add_byte(static_cast<char>(*byte));
  else
    text.add_text(piece);
}

}  // namespace daguerre::text
