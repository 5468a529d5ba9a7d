#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace daguerre::models {

/// How the next token is chosen from a language model's logits. What is not set changes nothing. The names
/// and the order in which they act are those of transformers' `generate`: the options of the first group,
/// then, unless `greedy`, those of the second.
struct TokenSamplerOptions {
  /// Tokens that the text so far holds, the prompt's too, are made less likely: positive logits are divided
  /// by it, negative ones multiplied (Keskar et al., 2019). Below 1 they become likelier. Above 0.
  double repetition_penalty = 1.0;
  /// No run of so many tokens comes twice in the text so far and the new token; 0: they may.
  int no_repeat_ngram_size = 0;
  /// Runs of tokens that are not made. As in the reference, one of several tokens acts only where the text is
  /// at least as long as the run, and one that is an end token alone is passed over.
  std::vector<std::vector<std::int32_t>> bad_words{};
  std::vector<std::int32_t> end_tokens{};  ///< of the model

  /// The likeliest token, the first of those that are as likely; `temperature` and below are not used.
  bool greedy = false;
  double temperature = 1.0;  ///< the logits' divisor, above 0
  int top_k = 0;             ///< only the so many likeliest, and those as likely as the last one; 0: all
  /// Only the likeliest that together have this probability (nucleus sampling, Holtzman et al., 2020). 0
  /// to 1.
  double top_p = 1.0;
  /// Only tokens that are at least so likely, relative to the likeliest. 0 to 1.
  double min_p = 0.0;
  /// Only those whose surprise is nearest to what is expected, together of this probability (locally typical
  /// sampling, Meister et al., 2022). Above 0, 1: all.
  double typical_p = 1.0;
};

/// Chooses tokens. Keeps no state between calls: the caller has the text so far and the random numbers, so
/// any generator that gives uniform ones will do. Those of `TorchCpuGenerator::uniform`, one a token, are the
/// library's own; a text is then repeated by its seed. They are not those of `torch.multinomial`, which
/// depend on how torch was built.
class TokenSampler {
 public:
  /// Throws ArgumentError for options out of their ranges.
  explicit TokenSampler(TokenSamplerOptions options);

  const TokenSamplerOptions& options() const noexcept { return options_; }

  /// Turns the logits of the next token into scores: those of tokens that are not to be made become
  /// -infinity. `ids` are the text so far. Throws ArgumentError for ids outside of the vocabulary, for logits
  /// that are none, and where no token is left; NumericError for NaN or +infinity.
  void process(std::span<float> logits, std::span<const std::int32_t> ids) const;

  /// The next token: processes `logits` in their place, then takes the likeliest or draws. `uniform`, in
  /// [0, 1), is not used where `options().greedy` is set. Throws as `process`.
  std::int32_t next(std::span<float> logits, std::span<const std::int32_t> ids, double uniform) const;

 private:
  void forbid_repeated_ngrams(std::span<float> logits, std::span<const std::int32_t> ids) const;
  void forbid_bad_words(std::span<float> logits, std::span<const std::int32_t> ids) const;

  TokenSamplerOptions options_;
};

/// The first of the largest scores.
std::int32_t likeliest_token(std::span<const float> scores);
/// The token that the uniform number in [0, 1) falls on: the first at which the cumulative probability, the
/// sum in double of the float32 softmax over ascending ids, exceeds it.
std::int32_t draw_token(std::span<const float> scores, double uniform);

}  // namespace daguerre::models
