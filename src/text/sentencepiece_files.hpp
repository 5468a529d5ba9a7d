#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "text/sentence_pieces.hpp"

namespace daguerre::text {

/// The kind that sentencepiece's number means. Throws FormatError for a number that is none.
PieceKind piece_kind(std::uint64_t number, const std::string& piece, const std::string& source);

/// What a sentencepiece model does with its pieces; the numbers are TrainerSpec's.
enum class SentencePieceModel : std::uint8_t { unigram = 1, bpe = 2 };

/// From a sentencepiece model, `spiece.model` or `tokenizer.model` (the message ModelProto of
/// sentencepiece_model.proto). Throws FileError; FormatError naming the file and the byte; ConfigError for
/// another model than `expected`.
SentencePieceFile read_sentencepiece_model(const std::filesystem::path& path, SentencePieceModel expected);
/// The same from the file's bytes; `source` names them.
SentencePieceFile parse_sentencepiece_model(std::string_view bytes, const std::string& source,
                                            SentencePieceModel expected);

}  // namespace daguerre::text
