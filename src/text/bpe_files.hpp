#pragma once

#include <memory>

#include "daguerre/text/language_tokenizer.hpp"
#include "text/language_folder.hpp"

/// Where BPE tokenizers come from. All throw FileError, FormatError and ConfigError naming the file.
namespace daguerre::text {

/// From the folder's tokenizer.json.
std::shared_ptr<const LanguageTokenizer> load_bpe_json(const LanguageFolder& folder);
/// From its vocab.json and merges.txt, whose words are cut as the class of the tokenizer says: GPT-2's or
/// Qwen2's.
std::shared_ptr<const LanguageTokenizer> load_vocabulary_and_merges(const LanguageFolder& folder);
/// Of "gpt2".
std::shared_ptr<const LanguageTokenizer> bpe_from(LanguageVocabulary vocabulary);

}  // namespace daguerre::text
