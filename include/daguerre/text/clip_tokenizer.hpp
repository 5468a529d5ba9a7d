#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/core/shape.hpp"

namespace daguerre::text {

/// Whose details to follow where the two published implementations of CLIP's tokenizer differ.
enum class ClipDialect {
  /// Hugging Face's tokenizers library. Normal form C; `<|startoftext|>` and `<|endoftext|>` are found
  /// anywhere in the text (the latter in small letters only), as are added tokens and the pad token: where
  /// a model pads with `!`, so does a `!` in the text.
  huggingface,
  /// openai/CLIP's simple_tokenizer, without ftfy. HTML character references are resolved (twice), a sigma
  /// at the end of a word becomes a final one, the special tokens are found where a word can begin.
  openai
};

/// What fills a window behind the end of the text.
enum class ClipPadding {
  as_files_say,
  end_of_text,  ///< as CLIP's own encoders were trained
  id_0          ///< "!", as OpenCLIP's were (Stable Diffusion 2, the second encoder of XL)
};

/// CLIP's byte-pair tokenizer (lower case, byte level, `</w>` behind each word's last piece), read from the
/// `tokenizer/` folder of a model: vocab.json and merges.txt, or tokenizer.json in their place, or
/// openai/CLIP's bpe_simple_vocab_16e6.txt (or .txt.gz); special_tokens_map.json, tokenizer_config.json and
/// added_tokens.json where they are.
///
/// Immutable, cheap to copy (copies share the tables), and safe to use from many threads. No text below 4 GiB
/// is refused: malformed UTF-8 is read as U+FFFD.
class ClipTokenizer {
 public:
  /// Throws FileError, FormatError (naming the file, and the line or token) or ConfigError (a special token
  /// that the vocabulary lacks, another class of tokenizer, an impossible length).
  static ClipTokenizer load(const std::filesystem::path& folder,
                            ClipDialect dialect = ClipDialect::huggingface,
                            ClipPadding padding = ClipPadding::as_files_say);

  /// The ids of the whole text, without start and end.
  std::vector<std::int32_t> encode(std::string_view text) const;

  struct Window {
    std::vector<std::int32_t> ids;  ///< [length()]
    std::string lost;  ///< what did not fit: the tail of the text, from the first word cut; empty if none was
    Index padding = 0;  ///< how many of the ids, at the end, are padding
  };
  /// What a text encoder takes: start, as many ids as fit, end, and padding up to `length()`. An added token
  /// `<cat>` stands for `<cat> <cat>_1 <cat>_2` …, as far as these were added too: a concept of several
  /// vectors (diffusers' textual inversion).
  Window window(std::string_view text) const;

  /// The text that `ids` stand for, up to the first end token; start tokens are left out, words are set apart
  /// by one space. Always well-formed UTF-8. Throws ArgumentError for an id that is not in the vocabulary.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// Whether a token is the last of a word. Throws ArgumentError for an id that is not in the vocabulary.
  bool ends_word(std::int32_t id) const;

  /// The same tokenizer padding with another id; ArgumentError if the vocabulary does not have it.
  ClipTokenizer with_pad(std::int32_t id) const;

  std::int32_t start_id() const noexcept;
  std::int32_t end_id() const noexcept;
  std::int32_t pad_id() const noexcept { return pad_; }
  /// Tokens in a window: `model_max_length`, 77 where the files do not say.
  Index length() const noexcept;
  Index vocabulary_size() const noexcept;
  /// The files that the vocabulary comes from, for messages.
  const std::string& source() const noexcept;

 private:
  struct State;
  ClipTokenizer(std::shared_ptr<const State> state, std::int32_t pad) : state_(std::move(state)), pad_(pad) {}
  /// Appends the ids of word after word until `enough`, given the word's place in the text, says so.
  void encode_words(std::string_view text, bool with_followers,
                    const std::function<bool(std::size_t)>& enough, std::vector<std::int32_t>& ids) const;
  void check(std::int32_t id) const;

  std::shared_ptr<const State> state_;
  std::int32_t pad_;
};

}  // namespace daguerre::text
