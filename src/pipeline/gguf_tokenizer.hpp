#pragma once

#include <filesystem>
#include <memory>

#include "daguerre/text/language_tokenizer.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
#include "daguerre/weights/gguf.hpp"

namespace daguerre {

/// T5's tokenizer out of the metadata of one of llama.cpp's files (`tokenizer.ggml.*`). Throws FormatError
/// for metadata that are no vocabulary of T5's, and what GgufFile::open and T5Tokenizer::from throw.
text::T5Tokenizer gguf_t5_tokenizer(const std::filesystem::path& file);

/// A language model's tokenizer out of such metadata, its chat template included. Throws FormatError for
/// metadata that are no vocabulary, and what text::language_tokenizer_from throws.
std::shared_ptr<const text::LanguageTokenizer> gguf_language_tokenizer(const weights::GgufFile& file);
/// Whether the metadata have a vocabulary of a kind that language models have.
bool has_gguf_language_tokenizer(const weights::GgufFile& file);

}  // namespace daguerre
