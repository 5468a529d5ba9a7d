#pragma once

#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// The name of the file that openai/CLIP and open_clip carry, with or without ".gz".
inline constexpr std::string_view simple_vocabulary_name = "bpe_simple_vocab_16e6.txt";

/// From openai/CLIP's file, plain or by gzip: a line of its version and one for each merge, of which the
/// first 48,894 count. Ids are those of its tokenizer: the bytes' characters, the same at a word's end, what
/// the merges make, start and end. Throws FileError and FormatError, naming the line.
BytePairFiles read_simple_vocabulary(const std::filesystem::path& path);

}  // namespace daguerre::text
