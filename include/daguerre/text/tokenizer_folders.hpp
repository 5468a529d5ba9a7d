#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "daguerre/text/t5_tokenizer.hpp"

/// Where tokenizers are for models that bring none, as single checkpoint files do.
namespace daguerre::text {

/// Where to look: the folder that the host names, where `model` (a file) lies, and a folder to fall back on,
/// in that order; empty ones are left out.
std::vector<std::filesystem::path> tokenizer_folders(const std::filesystem::path& given,
                                                     const std::filesystem::path& model,
                                                     const std::filesystem::path& fallback);

/// The first of `folders` that has T5's vocabulary, in itself or in its folders "tokenizer", "tokenizer_2"
/// and "tokenizer_3": spiece.model or a tokenizer.json with a unigram model. All published T5 encoders of
/// version 1.1 have one vocabulary, so that any model's will do; umT5's is another.
///
/// Throws FileError where there is none, saying which file is needed and where to put it, and what
/// T5Tokenizer::load throws for the one that is found.
T5Tokenizer find_t5_tokenizer(std::span<const std::filesystem::path> folders,
                              T5Dialect dialect = T5Dialect::huggingface);

/// Whether the folder has T5's vocabulary, in itself or in one of those.
bool has_t5_tokenizer(const std::filesystem::path& folder);

/// The same as find_t5_tokenizer as the files of a model's folder "tokenizer_2", by name: spiece.model or
/// tokenizer.json, and what lies beside it of tokenizer_config.json and special_tokens_map.json. They are
/// what they were. Throws FileError where there is none.
std::map<std::string, std::string> find_t5_tokenizer_files(std::span<const std::filesystem::path> folders);

}  // namespace daguerre::text
