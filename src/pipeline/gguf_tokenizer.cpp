#include "pipeline/gguf_tokenizer.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

using weights::GgufFile;
using weights::GgufValue;

constexpr const char *model_key = "tokenizer.ggml.model", *tokens_key = "tokenizer.ggml.tokens",
                     *scores_key = "tokenizer.ggml.scores", *kinds_key = "tokenizer.ggml.token_type";

std::vector<GgufValue> items(const GgufFile& file, const char* key) {
  const auto found = file.values().find(key);
  return found == file.values().end() ? std::vector<GgufValue>() : found->second.items();
}

bool flag(const GgufFile& file, const char* key, bool fallback) {
  const auto found = file.values().find(key);
  return found == file.values().end() ? fallback : found->second.boolean().value_or(fallback);
}

std::int32_t token_id(const GgufFile& file, const char* key, std::int32_t fallback) {
  const auto found = file.values().find(key);
  if (found == file.values().end()) return fallback;
  const auto id = found->second.natural();
  if (!id || *id > 0x7FFFFFFF)
    throw FormatError(pipeline_name, file.name() + ": " + key + " is no token's number");
  return static_cast<std::int32_t>(*id);
}

std::string bytes(const GgufFile& file, const char* key) {
  std::string result;
  for (const auto& item : items(file, key)) result += static_cast<char>(item.integer().value_or(0));
  return result;
}

std::string text_of(const GgufFile& file, const char* key) {
  const auto found = file.values().find(key);
  return std::string(found == file.values().end() ? std::string_view()
                                                  : found->second.text().value_or(std::string_view()));
}

std::optional<bool> optional_flag(const GgufFile& file, const char* key) {
  const auto found = file.values().find(key);
  return found == file.values().end() ? std::nullopt : found->second.boolean();
}

std::optional<std::int32_t> optional_id(const GgufFile& file, const char* key) {
  const auto id = token_id(file, key, -1);
  return id < 0 ? std::nullopt : std::optional(id);
}

/// `tokenizer.chat_template`, and `tokenizer.chat_template.NAME` of each of `tokenizer.chat_templates`.
std::map<std::string, std::string, std::less<>> chat_templates_of(const GgufFile& file) {
  constexpr std::string_view prefix = "tokenizer.chat_template";
  std::map<std::string, std::string, std::less<>> result;
  for (const auto& [key, value] : file.values()) {
    const auto text = value.text();
    if (!text || !std::string_view(key).starts_with(prefix)) continue;
    const auto rest = std::string_view(key).substr(prefix.size());
    if (rest.empty()) result["default"] = *text;
    if (rest.size() > 1 && rest[0] == '.') result[std::string(rest.substr(1))] = *text;
  }
  return result;
}

std::vector<text::LanguageVocabulary::Token> tokens_of(const GgufFile& file) {
  const auto tokens = items(file, tokens_key), scores = items(file, scores_key),
             kinds = items(file, kinds_key);
  const auto fits = [&](const std::vector<GgufValue>& list) {
    return list.empty() || list.size() == tokens.size();
  };
  if (tokens.empty() || !fits(scores) || !fits(kinds))
    throw FormatError(pipeline_name, file.name() + ": its vocabulary has " + std::to_string(tokens.size()) +
                                         " tokens, " + std::to_string(scores.size()) + " scores and " +
                                         std::to_string(kinds.size()) + " types, expected as many of each");
  std::vector<text::LanguageVocabulary::Token> result;
  result.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto text = tokens[i].text();
    const auto score = scores.empty() ? 0.0 : scores[i].number();
    const auto kind = kinds.empty() ? 1 : kinds[i].integer();
    if (!text || !score || !kind || *kind < 1 || *kind > 6)
      throw FormatError(pipeline_name, file.name() + ": token " + std::to_string(i) +
                                           " of its vocabulary is no text with a score and a type");
    result.push_back({std::string(*text), static_cast<float>(*score), static_cast<int>(*kind)});
  }
  return result;
}

}  // namespace

bool has_gguf_language_tokenizer(const GgufFile& file) {
  const auto model = text_of(file, model_key);
  return model == "gpt2" || model == "llama";
}

std::shared_ptr<const text::LanguageTokenizer> gguf_language_tokenizer(const GgufFile& file) {
  text::LanguageVocabulary vocabulary;
  vocabulary.source = file.name();
  vocabulary.model = text_of(file, model_key);
  if (vocabulary.model.empty())
    throw FormatError(pipeline_name, file.name() + ": it has no " + model_key + ", so no tokenizer");
  vocabulary.split = text_of(file, "tokenizer.ggml.pre");
  vocabulary.tokens = tokens_of(file);
  for (const auto& merge : items(file, "tokenizer.ggml.merges")) {
    const auto text = merge.text();
    if (!text) throw FormatError(pipeline_name, file.name() + ": a merge of its vocabulary is no text");
    vocabulary.merges.emplace_back(*text);
  }
  vocabulary.add_prefix = flag(file, "tokenizer.ggml.add_space_prefix", true);
  vocabulary.add_bos = optional_flag(file, "tokenizer.ggml.add_bos_token");
  vocabulary.add_eos = optional_flag(file, "tokenizer.ggml.add_eos_token");
  auto& special = vocabulary.special;
  special.bos = optional_id(file, "tokenizer.ggml.bos_token_id");
  special.eos = optional_id(file, "tokenizer.ggml.eos_token_id");
  special.pad = optional_id(file, "tokenizer.ggml.padding_token_id");
  special.unknown = optional_id(file, "tokenizer.ggml.unknown_token_id");
  for (const auto id : {special.eos, optional_id(file, "tokenizer.ggml.eot_token_id"),
                        optional_id(file, "tokenizer.ggml.eom_token_id")})
    if (id && std::find(special.ends.begin(), special.ends.end(), *id) == special.ends.end())
      special.ends.push_back(*id);
  vocabulary.chat_templates = chat_templates_of(file);
  return text::language_tokenizer_from(std::move(vocabulary));
}

text::T5Tokenizer gguf_t5_tokenizer(const std::filesystem::path& path) {
  const auto file = GgufFile::open(path, {.allow_trailing_bytes = true});
  const auto tokens = items(file, tokens_key), scores = items(file, scores_key),
             kinds = items(file, kinds_key);
  if (tokens.empty() || scores.size() != tokens.size() || kinds.size() != tokens.size())
    throw FormatError(pipeline_name, file.name() + ": its vocabulary has " + std::to_string(tokens.size()) +
                                         " tokens, " + std::to_string(scores.size()) + " scores and " +
                                         std::to_string(kinds.size()) + " types, expected as many of each");
  text::T5Vocabulary vocabulary;
  vocabulary.source = file.name();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto text = tokens[i].text();
    const auto score = scores[i].number();
    const auto kind = kinds[i].integer();
    if (!text || !score || !kind)
      throw FormatError(pipeline_name, file.name() + ": token " + std::to_string(i) +
                                           " of its vocabulary is no text with a score and a type");
    vocabulary.pieces.push_back({std::string(*text), static_cast<float>(*score), static_cast<int>(*kind)});
  }
  vocabulary.charsmap = bytes(file, "tokenizer.ggml.precompiled_charsmap");
  vocabulary.adds_prefix = flag(file, "tokenizer.ggml.add_space_prefix", true);
  vocabulary.removes_extra_whitespace = flag(file, "tokenizer.ggml.remove_extra_whitespaces", true);
  vocabulary.end_id = token_id(file, "tokenizer.ggml.eos_token_id", vocabulary.end_id);
  vocabulary.pad_id = token_id(file, "tokenizer.ggml.padding_token_id", vocabulary.pad_id);
  return text::T5Tokenizer::from(vocabulary);
}

}  // namespace daguerre
