#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"

namespace daguerre::text {

/// Whose details to follow where the two implementations of T5's tokenizer differ.
enum class T5Dialect {
  /// Hugging Face's T5TokenizerFast: `</s>`, `<pad>`, `<unk>`, `<extra_id_0>` and other added tokens are
  /// found anywhere in the text.
  huggingface,
  /// sentencepiece itself: only user-defined pieces are found in the text, the others are plain characters.
  sentencepiece
};

/// A unigram model's vocabulary that lies elsewhere than in a tokenizer's folder, as in a GGUF file.
struct T5Vocabulary {
  struct Piece {
    std::string text;
    float score = 0.0f;
    int kind = 1;  ///< sentencepiece's: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  };
  std::vector<Piece> pieces;  ///< by id
  std::string charsmap;       ///< sentencepiece's precompiled one; empty: nothing is replaced
  bool adds_prefix = true;    ///< a space before the text
  bool removes_extra_whitespace = true;
  std::int32_t end_id = 1, pad_id = 0;
  std::string source;  ///< what to call it in messages
};

/// T5's tokenizer and umT5's: a sentencepiece unigram model (Kudo 2018), read from the `tokenizer/` folder of
/// a model: spiece.model or, where there is none, tokenizer.json; tokenizer_config.json and
/// special_tokens_map.json where they are.
///
/// Immutable, cheap to copy (copies share the tables), and safe to use from many threads. No text below 4 GiB
/// is refused: a byte that is not part of UTF-8 is read as U+FFFD.
class T5Tokenizer {
 public:
  /// Throws FileError, FormatError (naming the file, and the byte or piece) or ConfigError (a special token
  /// that the vocabulary lacks, another class of tokenizer, a model that is no unigram model).
  static T5Tokenizer load(const std::filesystem::path& folder, T5Dialect dialect = T5Dialect::huggingface);
  /// Throws FormatError, in the name of `vocabulary.source`, for pieces that are no unigram model's and for
  /// an end or padding that is none of them.
  static T5Tokenizer from(const T5Vocabulary& vocabulary, T5Dialect dialect = T5Dialect::huggingface);
  /// Whether the folder has a vocabulary in one of the forms that are read.
  static bool is_there(const std::filesystem::path& folder);

  /// The ids of the whole text, without the end.
  std::vector<std::int32_t> encode(std::string_view text) const;

  struct Window {
    std::vector<std::int32_t> ids;
    std::string lost;  ///< what did not fit: the tail of the text, from the first word cut; empty if none was
    Index padding = 0;  ///< how many of the ids, at the end, are padding
  };
  /// What a text encoder takes: as many ids as fit, the end, and padding up to `length`, at least 1.
  Window window(std::string_view text, Index length) const;

  /// The text that `ids` stand for, up to the first end; control tokens and padding are left out, bytes are
  /// joined. Throws ArgumentError for an id that is not in the vocabulary.
  std::string decode(std::span<const std::int32_t> ids) const;

  std::int32_t end_id() const noexcept;
  std::int32_t pad_id() const noexcept;
  std::int32_t unknown_id() const noexcept;
  /// `model_max_length`, 512 where the files do not say.
  Index length() const noexcept;
  /// With the extra ids that stand behind the model's own pieces.
  Index vocabulary_size() const noexcept;
  /// The file that the vocabulary comes from, for messages.
  const std::string& source() const noexcept;

 private:
  struct State;
  struct Token {
    std::int32_t id;
    std::size_t begin;  // in the text
    bool begins_word;
  };
  explicit T5Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::vector<Token> tokens(std::string_view text) const;

  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::text
