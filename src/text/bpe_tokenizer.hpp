#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daguerre/text/language_tokenizer.hpp"
#include "text/added_tokens.hpp"
#include "text/bpe_model.hpp"
#include "text/text_steps.hpp"
#include "text/token_decoder.hpp"

namespace daguerre::text {

/// What a BPE tokenizer is made of.
struct BpeParts {
  BytePairFiles files;
  BpeModel::Options model;
  TextNormalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenDecoder decoder;
  std::vector<std::int32_t> before, behind;  ///< what stands around a text
};

/// BPE as Hugging Face's tokenizers library has it: added tokens are cut out of the text as it was typed,
/// what is between them is normalised, cut by those added tokens that are normalised, cut into words, and
/// each word is merged.
class BpeTokenizer final : public LanguageTokenizer {
 public:
  BpeTokenizer(BpeParts parts, Properties properties);

  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options) const override;
  std::unique_ptr<IncrementalDecoder> decoder(bool skip_special_tokens) const override;
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::optional<std::string> token_of(std::int32_t id) const override;
  bool is_special(std::int32_t id) const override;
  Index vocabulary_size() const noexcept override { return size_; }

  using LanguageTokenizer::Properties;

 private:
  class Decoder;
  /// nullptr where no token has that id.
  const std::string* text_of(std::int32_t id) const noexcept;

  BpeModel model_;
  TextNormalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  TokenDecoder decoder_;
  std::vector<std::int32_t> before_, behind_;
  AddedTokens raw_, normalized_;
  std::unordered_map<std::int32_t, AddedToken> added_;  // by id
  Index size_ = 0;
};

}  // namespace daguerre::text
