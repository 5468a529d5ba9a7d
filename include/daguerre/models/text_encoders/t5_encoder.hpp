#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {

/// transformers' T5Config and UMT5Config, as far as they change an encoder's result.
struct T5EncoderConfig {
  Index vocab_size = 32128;
  Index d_model = 512;
  Index d_kv = 64;  ///< a head's width, whatever d_model
  Index d_ff = 2048;
  int num_layers = 6;
  int num_heads = 8;
  int relative_attention_num_buckets = 32;
  int relative_attention_max_distance = 128;
  float layer_norm_epsilon = 1e-6f;
  ops::Activation activation = ops::Activation::relu;
  bool is_gated = false;         ///< T5 v1.1: the feed-forward network has a gate
  bool bias_each_layer = false;  ///< UMT5: every layer has its own relative position bias

  /// From the configuration of a T5EncoderModel or UMT5EncoderModel. Throws ConfigError for another class,
  /// for options it does not know and for values that are not possible.
  static T5EncoderConfig from(const Config& config);
};

/// For keys 1 - length to length - 1 tokens behind a query, the row of the table of relative position biases
/// (transformers' T5Attention._relative_position_bucket, bidirectional): half of the `buckets` are for keys
/// before the query; half of each are for one distance each, the others for ever wider ranges up to
/// `max_distance`. `[2 length - 1]`.
std::vector<std::int32_t> relative_position_buckets(Index length, int buckets, int max_distance);

/// The encoder of T5 (Raffel et al. 2020), T5 v1.1 (Shazeer 2020: a gate in the feed-forward network) and
/// UMT5 (Chung et al. 2023): a pre-norm transformer without biases, whose logits are not scaled and get a
/// bias for the distance between query and key. transformers' T5EncoderModel and UMT5EncoderModel, with their
/// weights' names. The sum that runs through it is float32 whatever T.
template <class T>
class T5Encoder {
 public:
  T5Encoder(const T5EncoderConfig& config, const nn::Loader& loader);

  /// The last states, after the final norm, `[N, L, d_model]`, of `input_ids[N, L]`. `mask[N, L]`, where one
  /// is given, is 1 for tokens to look at and 0 for others. Throws ArgumentError for an unknown id.
  Tensor<float> operator()(const ops::Context& context, const Tensor<std::int32_t>& input_ids,
                           const Tensor<float>* mask = nullptr) const;

  const T5EncoderConfig& config() const noexcept { return config_; }

 private:
  /// x += o(attention(layer_norm(x))); x += wo(act(wi(layer_norm(x))))
  struct Layer {
    nn::RmsNorm attention_norm;
    nn::Linear<T> qkv, o;
    std::optional<Tensor<float>> relative_bias;  ///< [buckets, heads]
    nn::RmsNorm feed_forward_norm;
    nn::Linear<T> wi, wo;  ///< gated: wi has the values, then the gates
  };
  Layer read(const nn::Loader& block, bool has_bias) const;
  Tensor<float> run(const ops::Context& context, const Layer& layer, const Tensor<float>& x,
                    const Tensor<float>& relative_bias, const Tensor<float>* key_bias) const;

  T5EncoderConfig config_;
  std::shared_ptr<const ops::Engine> engine_;
  ops::EmbeddingTable<T> token_embedding_;
  std::vector<Layer> layers_;
  nn::RmsNorm final_layer_norm_;
};

}  // namespace daguerre::models
