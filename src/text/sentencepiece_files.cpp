#include "text/sentencepiece_files.hpp"

#include <array>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/protobuf.hpp"
#include "text/vocabulary_files.hpp"

namespace daguerre::text {
namespace {

SentencePiece read_piece(ProtobufReader message, const std::string& source) {
  SentencePiece piece;
  while (message.next()) {
    if (message.field() == 1) piece.text = message.bytes();
    if (message.field() == 2) piece.score = message.real();
    if (message.field() != 3) continue;
    piece.kind = piece_kind(message.number(), piece.text, source);
  }
  return piece;
}

/// An id that may be -1, for none.
std::int32_t read_id(const ProtobufReader& message) {
  return static_cast<std::int32_t>(static_cast<std::int64_t>(message.number()));
}

/// Returns the number of the model.
std::uint64_t read_trainer(ProtobufReader message, SentencePieceFile& file) {
  std::uint64_t model = 1;
  while (message.next()) {
    if (message.field() == 3) model = message.number();
    if (message.field() == 24) file.normalizer.prefix_behind = message.boolean();
    if (message.field() == 35) file.byte_fallback = message.boolean();
    if (message.field() == 41) file.bos = read_id(message);
    if (message.field() == 42) file.eos = read_id(message);
    if (message.field() == 43) file.pad = read_id(message);
    if (message.field() == 44) file.unknown_surface = message.bytes();
  }
  return model;
}

void read_normalizer(ProtobufReader message, const std::string& source, SentencePieceNormalizer& normalizer) {
  while (message.next()) {
    if (message.field() == 2) normalizer.charsmap = Charsmap(message.bytes(), source);
    if (message.field() == 3) normalizer.add_prefix = message.boolean();
    if (message.field() == 4) normalizer.remove_extra_whitespace = message.boolean();
    if (message.field() == 5) normalizer.escape_whitespace = message.boolean();
  }
}

}  // namespace

PieceKind piece_kind(std::uint64_t number, const std::string& piece, const std::string& source) {
  constexpr std::array kinds{PieceKind::normal,       PieceKind::unknown, PieceKind::control,
                             PieceKind::user_defined, PieceKind::unused,  PieceKind::byte};
  if (number < 1 || number > kinds.size())
    malformed(source, "the piece " + in_quotes(piece) + " is of the unknown type " + std::to_string(number));
  return kinds[static_cast<std::size_t>(number) - 1];
}

SentencePieceFile parse_sentencepiece_model(std::string_view bytes, const std::string& source,
                                            SentencePieceModel expected) {
  SentencePieceFile file;
  std::uint64_t model = 1;
  ProtobufReader reader(bytes, source);
  while (reader.next()) {
    if (reader.field() == 1) {
      if (file.pieces.size() == max_tokens)
        malformed(source, "more than " + std::to_string(max_tokens) + " pieces");
      file.pieces.push_back(read_piece(reader.message(), source));
    }
    if (reader.field() == 2) model = read_trainer(reader.message(), file);
    if (reader.field() == 3) read_normalizer(reader.message(), source, file.normalizer);
  }
  const auto number = static_cast<std::uint64_t>(expected);
  if (model != number)
    throw ConfigError("tokenizer", source + ": a sentencepiece model of type " + std::to_string(model) +
                                       ", supported is " + std::to_string(number) +
                                       (expected == SentencePieceModel::unigram ? ", a unigram model"
                                                                                : ", byte-pair encoding"));
  return file;
}

SentencePieceFile read_sentencepiece_model(const std::filesystem::path& path, SentencePieceModel expected) {
  return parse_sentencepiece_model(read_text_file(path, max_vocabulary_bytes), path.string(), expected);
}

}  // namespace daguerre::text
