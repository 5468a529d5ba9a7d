#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/text/language_tokenizer.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// What lies beside a language model's vocabulary.
struct LanguageFolder {
  std::filesystem::path folder;
  nlohmann::json config;           ///< tokenizer_config.json, an object
  std::string class_name;          ///< its "tokenizer_class", without "Fast"; "" where it does not say
  std::vector<AddedToken> listed;  ///< its "added_tokens_decoder", else those of added_tokens.json
  /// What bos_token, eos_token, unk_token and pad_token are: as files say or, where they do not, as the class
  /// has it. Null is none.
  std::map<std::string, std::string, std::less<>> named;
  std::vector<std::string> other_special;  ///< "additional_special_tokens" and the like
  std::optional<bool> add_bos, add_eos;
  std::vector<std::int32_t> ends;  ///< generation_config.json's "eos_token_id"
  std::map<std::string, std::string, std::less<>> chat_templates;

  /// Whether the class puts begin and end around a text as it is configured, whatever tokenizer.json says.
  bool class_adds_ends() const;
};
/// Throws FileError, FormatError and ConfigError naming the file.
LanguageFolder read_language_folder(const std::filesystem::path& folder);

/// The id of a token of the vocabulary.
using FindTokenId = std::function<std::optional<std::int32_t>(const std::string&)>;

/// Makes the tokens that the files name and `find` knows special and added ones, and joins those that are
/// listed and not yet there.
void join_added_tokens(const LanguageFolder& folder, const FindTokenId& find, std::vector<AddedToken>& added);

/// The ids of the named tokens; nothing for those that neither the vocabulary nor the added tokens have.
SpecialTokens special_tokens_of(const LanguageFolder& folder, const FindTokenId& find,
                                std::span<const AddedToken> added);

}  // namespace daguerre::text
