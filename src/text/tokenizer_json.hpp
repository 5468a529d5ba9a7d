#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// A `tokenizer.json` of Hugging Face's tokenizers library whose model is a BPE.
struct TokenizerJson {
  BytePairFiles files;
  nlohmann::json rest;  ///< all but the vocabulary, the merges and the added tokens
};
/// Reads the large parts straight into their tables. Throws FileError; FormatError naming the file and the
/// byte, token or merge; ConfigError for another kind of model.
TokenizerJson read_bpe_json(const std::filesystem::path& path);

}  // namespace daguerre::text
