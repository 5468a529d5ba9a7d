#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daguerre/text/language_tokenizer.hpp"
#include "text/added_tokens.hpp"
#include "text/language_folder.hpp"
#include "text/sentencepiece_bpe.hpp"

namespace daguerre::text {

/// A sentencepiece BPE model, as Llama 2 and Gemma have it: ids and texts are those of sentencepiece itself
/// where special tokens are not looked for. Where they are, they are cut out first, and each part between
/// them is encoded by itself.
class SentencePieceTokenizer final : public LanguageTokenizer {
 public:
  using LanguageTokenizer::Properties;
  struct Parts {
    SentencePieceFile file;
    std::vector<AddedToken> added;             ///< what the model does not have itself
    bool prefix_each = true;                   ///< a space before each part, not the first only
    std::vector<std::int32_t> before, behind;  ///< what stands around a text
  };
  SentencePieceTokenizer(Parts parts, Properties properties);

  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options) const override;
  std::unique_ptr<IncrementalDecoder> decoder(bool skip_special_tokens) const override;
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::optional<std::string> token_of(std::int32_t id) const override;
  /// Control pieces, and added tokens that are said to be.
  bool is_special(std::int32_t id) const override;
  Index vocabulary_size() const noexcept override { return size_; }

 private:
  class Decoder;

  std::string unknown_surface_;
  SentencePieceBpe model_;
  bool prefix_each_;
  std::vector<std::int32_t> before_, behind_;
  AddedTokens cut_;
  std::unordered_map<std::int32_t, AddedToken> added_;  // behind the pieces
  Index size_ = 0;
};

/// From the folder's tokenizer.model. Throws FileError, FormatError and ConfigError naming the file.
std::shared_ptr<const LanguageTokenizer> load_sentencepiece_bpe(const LanguageFolder& folder);
/// Of "llama". Throws FormatError naming the source.
std::shared_ptr<const LanguageTokenizer> sentencepiece_bpe_from(LanguageVocabulary vocabulary);

}  // namespace daguerre::text
