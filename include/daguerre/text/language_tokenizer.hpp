#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"

/// Tokenizers of language models: text to ids and, while a model writes, ids to text.
namespace daguerre::text {

struct EncodeOptions {
  /// What the model's post-processor puts around a text: `<s>` before it, as a rule. A chat template writes
  /// these itself: its result is encoded without.
  bool add_special_tokens = true;
  /// Whether special tokens that are spelled in the text are those tokens. Without, `<|im_end|>` is seven or
  /// so plain tokens: for what a user typed. Added tokens that are not special are always found.
  bool parse_special_tokens = true;
};

/// The tokens that mean something to whoever runs a model.
struct SpecialTokens {
  std::optional<std::int32_t> bos, eos, pad, unknown;
  /// What ends a reply: `eos`, and what generation_config.json or a GGUF file's end-of-turn says beside it.
  std::vector<std::int32_t> ends;
};

/// The text that ids stand for, as it grows token by token.
class IncrementalDecoder {
 public:
  virtual ~IncrementalDecoder();
  /// One id more; one that the vocabulary lacks stands for nothing (embeddings have more rows than that).
  virtual void push(std::int32_t id) = 0;
  /// What no id that follows can change. Well-formed UTF-8, and only ever longer.
  virtual const std::string& settled() const noexcept = 0;
  /// What stands behind it as long as nothing follows: the end of a character is missing, as a rule, which
  /// is written as U+FFFD.
  virtual std::string unsettled() const = 0;
};

/// Turns text into a language model's ids and back. Immutable, and safe to use from many threads.
class LanguageTokenizer {
 public:
  virtual ~LanguageTokenizer();

  /// The ids of a text. Malformed UTF-8 is read as U+FFFD. Takes O(n log n) for n bytes; throws
  /// ArgumentError for 4 GiB or more.
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           const EncodeOptions& options = {}) const = 0;

  /// Decodes id by id. The tokenizer must outlive it.
  virtual std::unique_ptr<IncrementalDecoder> decoder(bool skip_special_tokens) const = 0;
  /// The text of all of `ids`: well-formed UTF-8, U+FFFD for what is none. No spaces are cleaned up.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = false) const;

  /// The id of a token as the vocabulary spells it (`Ġcat`, `▁cat`) or of an added one (`<|im_end|>`).
  virtual std::optional<std::int32_t> id_of(std::string_view token) const = 0;
  /// The inverse; nothing where no token has that id.
  virtual std::optional<std::string> token_of(std::int32_t id) const = 0;
  /// Whether decoding may skip it: begin, end, marks of turns.
  virtual bool is_special(std::int32_t id) const = 0;
  /// One more than the largest id, added tokens included. A model's embeddings may have more rows.
  virtual Index vocabulary_size() const noexcept = 0;

  const SpecialTokens& special_tokens() const noexcept { return properties_.special; }
  /// The text of the chat template that came with the vocabulary; nothing where none did. A model may have
  /// several, of which "default" and, for calling tools, "tool_use" are common names.
  std::optional<std::string> chat_template(std::string_view name = "default") const;
  /// All of them, by name.
  const std::map<std::string, std::string, std::less<>>& chat_templates() const noexcept {
    return properties_.chat_templates;
  }
  /// The file that the vocabulary comes from, for messages.
  const std::string& source() const noexcept { return properties_.source; }

 protected:
  struct Properties {
    SpecialTokens special;
    std::map<std::string, std::string, std::less<>> chat_templates;
    std::string source;
  };
  explicit LanguageTokenizer(Properties properties);

 private:
  Properties properties_;
};

/// From a model's folder: tokenizer.json (a BPE model), else tokenizer.model (sentencepiece's BPE), else
/// vocab.json and merges.txt (GPT-2's bytes); with tokenizer_config.json, special_tokens_map.json,
/// generation_config.json, chat_template.jinja and chat_template.json where they are.
///
/// Throws FileError where none is there; FormatError naming the file and what is wrong in it; ConfigError for
/// what is well-formed and not supported: another kind of model, of normaliser or of pattern, by name.
std::shared_ptr<const LanguageTokenizer> load_language_tokenizer(const std::filesystem::path& folder);

/// Whether the folder has a vocabulary in one of these forms.
bool has_language_tokenizer(const std::filesystem::path& folder);

/// A vocabulary that lies elsewhere than in a tokenizer's folder, as in a GGUF file (`tokenizer.ggml.*`).
struct LanguageVocabulary {
  struct Token {
    std::string text;
    float score = 0.0f;
    int kind = 1;  ///< sentencepiece's: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  };
  std::vector<Token> tokens;             ///< by id
  std::vector<std::string> merges;       ///< "a b", in the order of their ranks
  std::string model;                     ///< "gpt2": bytes and merges; "llama": sentencepiece's BPE by score
  std::string split;                     ///< how words are cut, by llama.cpp's name: "qwen2"; of "gpt2" only
  bool add_prefix = true;                ///< a space before the text; of "llama" only
  std::optional<bool> add_bos, add_eos;  ///< what encoding adds; as the model has it where that is not said
  SpecialTokens special;
  std::map<std::string, std::string, std::less<>> chat_templates;
  std::string source;  ///< what to call it in messages
};
/// Throws FormatError in the name of `vocabulary.source`; ConfigError for another model or an unknown split.
std::shared_ptr<const LanguageTokenizer> language_tokenizer_from(LanguageVocabulary vocabulary);

}  // namespace daguerre::text
