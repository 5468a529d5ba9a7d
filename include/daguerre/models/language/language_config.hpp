#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/core/shape.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/rotary.hpp"

namespace daguerre::models {

/// How a language model turns queries and keys by their positions (Su et al. 2021), and how that is stretched
/// beyond the lengths it was trained for.
struct RotaryConfig {
  enum class Scaling {
    none,
    linear,   ///< all frequencies divided by `factor` (Chen et al. 2023)
    dynamic,  ///< beyond max_position_embeddings the base grows with the length ("dynamic NTK")
    llama3,   ///< long wavelengths divided by `factor`, short ones kept, a ramp between (Llama 3.1)
    yarn,     ///< the same by number of turns; cosines and sines are scaled, too (Peng et al. 2023)
  };
  double theta = 10000.0;
  Scaling scaling = Scaling::none;
  double factor = 1.0;  ///< how much longer sequences become
  /// Positions of training before the stretching: llama3, yarn. For dynamic, where the growing begins.
  double original_max_position_embeddings = 0.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  ///< llama3
  double beta_fast = 32.0, beta_slow = 1.0;              ///< yarn
  double attention_factor = 1.0;                         ///< yarn: multiplies cosines and sines
  /// Each pair's frequency is divided by one of these, `[head_dim / 2]`, as GGUF files write llama3's scaling
  /// (`rope_freqs.weight`); empty: by 1.
  std::vector<float> frequency_divisors{};
  /// Pairs of channels that are turned by time, row and column of a picture's patch (Qwen2-VL's M-RoPE);
  /// empty: there is one position only.
  std::vector<int> mrope_section{};
  /// GGUF files of Llama and Mistral have their heads' channels in the other order.
  ops::RotaryPairs pairs = ops::RotaryPairs::halves;
};

/// A decoder-only language model as a shape: what a configuration of transformers says of it, or a GGUF
/// file's metadata, in terms that do not name a family. `check` refuses what is not possible.
struct LanguageConfig {
  enum class Norm {
    rms,           ///< x / rms(x) * weight (Zhang & Sennrich 2019)
    rms_plus_one,  ///< x / rms(x) * (1 + weight): Gemma's, as safetensors have it; in GGUF files it is `rms`
    layer,         ///< with mean, scale and shift: GPT-2
  };

  std::string model_type = "llama";  ///< transformers' name of the family; for messages

  Index vocab_size = 32000;
  Index hidden_size = 4096;
  Index intermediate_size = 11008;
  int num_hidden_layers = 32;
  int num_attention_heads = 32;
  int num_key_value_heads = 32;          ///< each serves as many heads of queries (Ainslie et al. 2023)
  Index head_dim = 128;                  ///< whatever hidden_size / num_attention_heads
  Index max_position_embeddings = 2048;  ///< with learned positions no more are possible

  Norm norm = Norm::rms;
  float norm_epsilon = 1e-6f;
  bool norms_after = false;     ///< what attention and feed-forward network give is normalised, too (Gemma 2)
  bool query_key_norm = false;  ///< every head of queries and keys goes through an RMS norm (Qwen3, Gemma 3)

  ops::Activation activation = ops::Activation::silu;
  bool gated = true;  ///< the feed-forward network has a gate; false: two matrices (GPT-2)

  bool query_key_value_bias = false;
  bool attention_output_bias = false;
  bool feed_forward_bias = false;

  float embedding_scale = 1.0f;     ///< Gemma: sqrt(hidden_size)
  float attention_scale = 0.0f;     ///< of the logits; head_dim^-0.5 as a rule
  float attention_soft_cap = 0.0f;  ///< c: logits are c tanh(logits / c) (Gemma 2); 0: as they are
  float logit_soft_cap = 0.0f;      ///< the same of the tokens' logits at the end

  bool learned_positions = false;  ///< a table is added to the embeddings, nothing is turned (GPT-2)
  RotaryConfig rotary{};
  /// Of layers with a window, where theirs is another (Gemma 3).
  std::optional<RotaryConfig> window_rotary{};
  /// For each layer, how many positions a token sees, with its own; 0: all that come before. Empty: all 0.
  std::vector<Index> windows{};

  /// The table of embeddings is the last matrix, too.
  bool tie_word_embeddings = false;

  std::optional<std::int32_t> bos_token_id{};
  std::vector<std::int32_t> eos_token_ids{};  ///< any of them ends a text
  std::optional<std::int32_t> pad_token_id{};

  /// More layers than any model has.
  static constexpr int most_layers = 1 << 16;

  /// From transformers' config.json: model_type llama, mistral, qwen2, qwen2_5_vl (what it says of text),
  /// qwen3, gemma, gemma2, gemma3_text, gemma3 (what it says of text) or gpt2. Throws ConfigError for another
  /// one, for options it does not know and for values that are not possible.
  static LanguageConfig from(const Config& config);
  /// Whether `from` knows the model_type.
  static bool knows(std::string_view model_type);

  /// Throws ConfigError, `source` being named, where the numbers are not possible together: sizes that are
  /// not positive, heads that do not divide, odd head widths with rotary positions, negative windows …
  void check(std::string_view source) const;

  Index window(int layer) const { return windows.empty() ? 0 : windows[static_cast<std::size_t>(layer)]; }
  /// Numbers that a layer's keys, or values, have for each token.
  Index key_value_size() const { return num_key_value_heads * head_dim; }
};

}  // namespace daguerre::models
