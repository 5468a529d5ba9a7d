#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "daguerre/config/config.hpp"
#include "daguerre/pipeline/family.hpp"

/// Whether the parts of a model fit each other. What is told names the files on both sides.
namespace daguerre {

using TextEncoderInfos = std::map<std::string, TextEncoderInfo, std::less<>>;

/// Throws ConfigError when the text encoders' states and vectors, put together as the family does, are not as
/// wide as what the denoiser reads, or its channels are neither the latents' nor the latents' with what joins
/// them in the family. `autoencoder`: nullptr where the model works in pixels.
void check_fit(const Family& family, const TextEncoderInfos& text_encoders, const DenoiserInfo& denoiser,
               const LatentFormat* autoencoder);

/// Throws ConfigError when a denoiser of `channels` channels in and `out_channels` out cannot work with the
/// scheduler: one learns a variance, the other knows none. `denoiser` is the path of its configuration.
void check_variance(const Config& scheduler, Index channels, Index out_channels, const std::string& denoiser);

/// Throws ConfigError when the tokenizer of `tokenizer_files` makes longer windows than the text encoder has
/// positions for.
void check_window(Index length, const std::string& tokenizer_files, Index positions,
                  const std::string& text_encoder);

/// Tokens of a tokenizer against the rows that the text encoder has for them.
class TokenRows {
 public:
  struct Sides {
    Index tokens = 0;
    std::string tokenizer_files;
    Index rows = 0;
    std::string text_encoder;  ///< the path of its configuration
  };
  /// A token that every prompt has, and what to call it.
  using Special = std::pair<const char*, std::int32_t>;
  /// Throws ConfigError when no prompt can be encoded.
  TokenRows(Sides sides, std::span<const Special> specials);

  /// What there is to warn of at load: tokens without a row, which no prompt may have.
  std::optional<std::string> warning() const;
  /// Throws ArgumentError when one of a prompt's tokens has no row. `what` is "prompt" or the like; the
  /// tokenizer has encode and decode.
  template <class Tokenizer>
  void check(const Tokenizer& tokenizer, std::string_view prompt, const char* what) const {
    if (sides_.tokens <= sides_.rows) return;
    for (const auto id : tokenizer.encode(prompt))
      if (id >= sides_.rows) refuse(id, tokenizer.decode(std::array{id}), what);
  }

 private:
  /// "the tokenizer has 635 tokens (FILES), the text encoder 634 rows (vocab_size in FILE)"
  std::string counts() const;

  [[noreturn]] void refuse(std::int32_t id, const std::string& token, const char* what) const;

  Sides sides_;
};

}  // namespace daguerre
