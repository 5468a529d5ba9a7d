#include "pipeline/gguf_tokenizer.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

using weights::GgufFile;
using weights::GgufValue;

constexpr const char *tokens_key = "tokenizer.ggml.tokens", *scores_key = "tokenizer.ggml.scores",
                     *kinds_key = "tokenizer.ggml.token_type";

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

}  // namespace

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
