#pragma once

#include <optional>
#include <span>
#include <string>

#include "daguerre/config/config.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/pipeline/components.hpp"
#include "daguerre/text/clip_tokenizer.hpp"

/// Whether the parts of a model fit each other. What is told names the files on both sides.
namespace daguerre {

/// Throws ConfigError when the text encoders' states, side by side, are not as wide as what the denoiser
/// reads, or its channels are neither the latents' nor, for what joins them, the latents' with a mask and a
/// picture, or with a picture alone where `joins_picture`. `autoencoder`: nullptr where the model works in
/// pixels.
void check_fit(std::span<const TextEncoderInfo> text_encoders, const DenoiserInfo& denoiser,
               const LatentFormat* autoencoder, bool joins_picture);

/// Throws ConfigError when a denoiser of `channels` channels in and `out_channels` out cannot work with the
/// scheduler: one learns a variance, the other knows none. `denoiser` is the path of its configuration.
void check_variance(const Config& scheduler, Index channels, Index out_channels, const std::string& denoiser);

/// Tokens of a tokenizer against the rows that the text encoder has for them.
class TokenRows {
 public:
  /// `text_encoder` is the path of its configuration. Throws ConfigError when no prompt can be encoded.
  TokenRows(const text::ClipTokenizer& tokenizer, const models::ClipTextConfig& config,
            std::string text_encoder);

  /// What there is to warn of at load: tokens without a row, which no prompt may have.
  std::optional<std::string> warning() const;
  /// Throws ArgumentError when one of a prompt's tokens has no row. `what` is "prompt" or the like.
  void check(const text::ClipTokenizer& tokenizer, const std::string& prompt, const char* what) const;

 private:
  /// "the tokenizer has 635 tokens (FILES), the text encoder 634 rows (vocab_size in FILE)"
  std::string counts() const;

  Index tokens_, rows_;
  std::string tokenizer_files_, text_encoder_;
};

}  // namespace daguerre
