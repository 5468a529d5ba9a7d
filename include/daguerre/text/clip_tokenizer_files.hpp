#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "daguerre/text/clip_tokenizer.hpp"

/// Tokenizers for models that bring none, as single checkpoint files do.
namespace daguerre::text {

/// The first of `folders` that has a CLIP vocabulary, in itself or in its folders "tokenizer" and
/// "tokenizer_2": vocab.json and merges.txt, tokenizer.json, or bpe_simple_vocab_16e6.txt, with or without
/// ".gz". All published models have one vocabulary, so that any model's will do; what differs is the padding:
/// `end_of_text` for CLIP's own encoders, `id_0` for OpenCLIP's.
///
/// Throws FileError where there is none, saying which files are needed and where to put them, and what
/// ClipTokenizer::load throws for the one that is found.
ClipTokenizer find_clip_tokenizer(std::span<const std::filesystem::path> folders, ClipPadding padding,
                                  ClipDialect dialect = ClipDialect::huggingface);

/// The same as the files of a model's folder "tokenizer", by name.
std::map<std::string, std::string> find_clip_tokenizer_files(std::span<const std::filesystem::path> folders,
                                                             ClipPadding padding);

}  // namespace daguerre::text
