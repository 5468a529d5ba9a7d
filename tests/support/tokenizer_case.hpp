#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace daguerre::test {

/// How many of a tokenizer case's strings gave the recorded ids, by the field of cases.json: `ids` (in the
/// dialect of openai or sentencepiece), `hf_ids` (Hugging Face's), `padded77_eos` and `padded77_zero`
/// (openai's windows padded with the end token or with id 0), `cleaned_ids` (of the field `cleaned`).
struct TokenizerField {
  std::string name;
  int passed = 0;
  int failed = 0;
  std::string first_failure;  ///< the first string whose ids differ, with both lists
};

/// Whether the folder has a vocabulary of CLIP (vocab.json) or T5 (spiece.model).
bool is_tokenizer_case(const std::filesystem::path& folder);

/// Runs a folder with a vocabulary and cases.json. Fields that no string has are left out. Throws
/// daguerre::Error when the tokenizer cannot be loaded, nlohmann's exceptions for a broken cases.json.
std::vector<TokenizerField> run_tokenizer_case(const std::filesystem::path& folder);

}  // namespace daguerre::test
