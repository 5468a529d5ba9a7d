#include "daguerre/text/language_tokenizer.hpp"

#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/bpe_files.hpp"
#include "text/language_folder.hpp"
#include "text/sentencepiece_tokenizer.hpp"
#include "text/tokenizer_config.hpp"

namespace daguerre::text {

IncrementalDecoder::~IncrementalDecoder() = default;
LanguageTokenizer::~LanguageTokenizer() = default;
LanguageTokenizer::LanguageTokenizer(Properties properties) : properties_(std::move(properties)) {}

std::string LanguageTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  const auto text = decoder(skip_special_tokens);
  for (const auto id : ids) text->push(id);
  return text->settled() + text->unsettled();
}

std::optional<std::string> LanguageTokenizer::chat_template(std::string_view name) const {
  const auto at = properties_.chat_templates.find(name);
  return at == properties_.chat_templates.end() ? std::nullopt : std::optional(at->second);
}

bool has_language_tokenizer(const std::filesystem::path& folder) {
  return is_there(folder / "tokenizer.json") || is_there(folder / "tokenizer.model") ||
         (is_there(folder / "vocab.json") && is_there(folder / "merges.txt"));
}

std::shared_ptr<const LanguageTokenizer> load_language_tokenizer(const std::filesystem::path& folder) {
  if (!has_language_tokenizer(folder))
    throw FileError("tokenizer",
                    folder.string() +
                        " has neither tokenizer.json nor tokenizer.model nor vocab.json and "
                        "merges.txt",
                    folder);
  const auto files = read_language_folder(folder);
  if (is_there(folder / "tokenizer.json")) return load_bpe_json(files);
  if (is_there(folder / "tokenizer.model")) return load_sentencepiece_bpe(files);
  return load_vocabulary_and_merges(files);
}

std::shared_ptr<const LanguageTokenizer> language_tokenizer_from(LanguageVocabulary vocabulary) {
  const auto& model = vocabulary.model;
  if (model != "gpt2" && model != "llama")
    throw ConfigError("tokenizer", vocabulary.source + ": a tokenizer of the kind " + in_quotes(model) +
                                       ", supported are \"gpt2\" and \"llama\"");
  const auto size = static_cast<std::int64_t>(vocabulary.tokens.size());
  const auto check = [&](const char* what, std::optional<std::int32_t> id) {
    if (id && (*id < 0 || *id >= size))
      throw FormatError("tokenizer", vocabulary.source + ": the " + what + " is token " +
                                         std::to_string(*id) + ", of " + std::to_string(size));
  };
  check("beginning", vocabulary.special.bos);
  check("end", vocabulary.special.eos);
  check("padding", vocabulary.special.pad);
  check("unknown token", vocabulary.special.unknown);
  for (const auto id : vocabulary.special.ends) check("end", id);
  return model == "gpt2" ? bpe_from(std::move(vocabulary)) : sentencepiece_bpe_from(std::move(vocabulary));
}

}  // namespace daguerre::text
