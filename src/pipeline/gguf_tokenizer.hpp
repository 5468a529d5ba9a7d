#pragma once

#include <filesystem>

#include "daguerre/text/t5_tokenizer.hpp"

namespace daguerre {

/// T5's tokenizer out of the metadata of one of llama.cpp's files (`tokenizer.ggml.*`). Throws FormatError
/// for metadata that are no vocabulary of T5's, and what GgufFile::open and T5Tokenizer::from throw.
text::T5Tokenizer gguf_t5_tokenizer(const std::filesystem::path& file);

}  // namespace daguerre
