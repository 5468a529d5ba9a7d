#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "daguerre/models/language/key_value_cache.hpp"
#include "daguerre/models/language/language_config.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/heads.hpp"

namespace daguerre::models {

/// How much of a language model is loaded.
struct CausalLmOptions {
  /// The first so many layers, which is all that some text encoders need; nullopt: all, and the final norm.
  std::optional<int> layers{};
  /// The matrix that gives the logits.
  bool head = true;
};

/// What a language model is asked.
template <class T>
struct CausalLmInputs {
  Tensor<std::int32_t> input_ids;  ///< [N, L], unless `inputs_embeds` are given
  /// [N, L, hidden_size], as `CausalLm::embed` gives them, with what is no word in its place.
  Tensor<float> inputs_embeds{};
  /// [N, L]; with mrope_section also [3, N, L]: time, row and column. Empty: they go on from what the cache
  /// holds.
  Tensor<std::int32_t> position_ids{};
  /// [N, tokens in the cache + L]: 1 for tokens to look at, 0 for padding. Empty: all are looked at.
  Tensor<float> attention_mask{};
  /// Holds the tokens before these, and takes these, too; nullptr: there are none.
  KeyValueCache<T>* cache = nullptr;

  enum class Logits { none, last, all };
  Logits logits = Logits::all;  ///< of which tokens
  /// Which of transformers' `hidden_states` to give: 0 is the embeddings, k what comes out of k layers, the
  /// last one of all layers and the final norm; negative from the end. Layers behind the last one that is
  /// asked for are not run where there are no logits and no cache.
  std::vector<int> hidden_states{};
};

struct CausalLmOutput {
  Tensor<float> logits;                      ///< [N, L or 1, vocab_size]; empty where none are asked for
  std::vector<Tensor<float>> hidden_states;  ///< as asked for, [N, L, hidden_size] each
};

/// A decoder-only transformer for text: Llama (Touvron et al. 2023), Mistral, Qwen2, Qwen2.5-VL's, Qwen3,
/// Gemma 1 to 3 and GPT-2, all one network with parts that a LanguageConfig says; transformers'
/// …ForCausalLM. Weights have the names that `with_language_names` gives. The sum that runs through it is
/// float32 whatever T.
template <class T>
class CausalLm {
 public:
  /// Throws WeightError where weights are missing or of other shapes than the configuration's, ConfigError
  /// for a configuration that is not possible, ArgumentError for a number of layers that it does not have.
  CausalLm(const LanguageConfig& config, const nn::Loader& loader, const CausalLmOptions& options = {});

  /// Reads N sequences of L tokens. Throws ArgumentError for inputs of other shapes, ids outside of the
  /// vocabulary, positions that it does not know, and what was not loaded.
  CausalLmOutput operator()(const ops::Context& context, const CausalLmInputs<T>& inputs) const;

  /// The embeddings of `input_ids[N, L]` as the first layer sees them, `[N, L, hidden_size]`.
  Tensor<float> embed(const ops::Context& context, const Tensor<std::int32_t>& input_ids) const;

  const LanguageConfig& config() const noexcept { return config_; }
  /// Layers that are loaded.
  int layers() const noexcept { return static_cast<int>(layers_.size()); }

 private:
  /// Either of the two kinds of norms.
  class Norm {
   public:
    Norm(const nn::Loader& loader, const LanguageConfig& config);
    template <class To>
    Tensor<To> apply(const ops::Context& context, const Tensor<float>& x) const {
      return rms_ ? rms_->template apply<To>(context, x) : layer_->template apply<To>(context, x);
    }

   private:
    std::optional<nn::RmsNorm> rms_;
    std::optional<nn::LayerNorm> layer_;
  };
  /// x += after(o(attention(before(x)))); x += after(down(act(gate) * up(before(x))))
  struct Layer {
    Norm attention_norm;
    nn::Linear<T> qkv, o;
    std::optional<ops::HeadNorm> query_norm, key_norm;
    std::optional<Norm> after_attention;
    Norm feed_forward_norm;
    nn::Linear<T> up, down;  ///< gated: `up` has the values, then the gates
    std::optional<Norm> after_feed_forward;
  };
  /// What is the same for all layers of one call.
  struct Call {
    Index batch = 0, length = 0;
    Index before = 0;  ///< tokens in the cache
    std::optional<ops::RotaryTable> rotation{}, window_rotation{};
    Tensor<float> key_bias{};  ///< empty: none
    KeyValueCache<T>* cache = nullptr;
  };

  Layer read(const nn::Loader& loader) const;
  /// The number of a hidden state, counted from the first.
  int state_number(int index) const;
  /// How many layers are to be run.
  int needed_layers(const CausalLmInputs<T>& inputs) const;
  /// `[axes, N * L]`
  Tensor<std::int32_t> positions(const CausalLmInputs<T>& inputs, const Call& call) const;
  void set_rotation(const Tensor<std::int32_t>& positions, Call& call) const;
  void set_mask(const ops::Context& context, const Tensor<float>& mask, Call& call) const;
  Tensor<T> attend(const ops::Context& context, int index, const Call& call, const Tensor<T>& qkv) const;
  Tensor<float> run(const ops::Context& context, int index, const Call& call, const Tensor<float>& x) const;
  Tensor<float> logits_of(const ops::Context& context, const Tensor<float>& x) const;

  LanguageConfig config_;
  std::shared_ptr<const ops::Engine> engine_;
  ops::EmbeddingTable<T> embed_tokens_;
  std::optional<ops::EmbeddingTable<T>> embed_positions_;
  std::vector<Layer> layers_;
  std::optional<Norm> norm_;
  std::optional<nn::Linear<T>> lm_head_;
};

}  // namespace daguerre::models
