#pragma once

#include <optional>
#include <vector>

#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"

namespace daguerre::models {

/// What an IP-Adapter's file holds, read from its tensors' names and shapes.
struct IpAdapterConfig {
  enum class Kind {
    projection,  ///< a picture's embedding becomes a few tokens
    resampler,   ///< "Plus": learnt tokens look at the encoder's penultimate states
    perceptron,  ///< "Full-face": each of the penultimate states becomes a token
  };
  Kind kind = Kind::projection;
  Index input_width = 0;      ///< of the embedding or the states
  Index tokens = 0;           ///< of one picture; 0: as many as there are states
  Index width = 0;            ///< of a token: the denoiser's cross_attention_dim
  Index inner = 0;            ///< resampler: of its tokens; perceptron: between its layers
  int heads = 0, layers = 0;  ///< of the resampler
  std::vector<Index> attention_widths;  ///< of each cross-attention's keys, in the file's order

  /// Whether it reads the encoder's penultimate states and not its embedding.
  bool reads_states() const noexcept { return kind != Kind::projection; }
  /// Throws WeightError for a file of another layout, FaceID's included, and for shapes that do not fit.
  static IpAdapterConfig from(const weights::StateDict& state);
};

/// Pictures to keys and values for a U-Net's cross-attentions (Ye et al. 2023; diffusers' ImageProjection,
/// IPAdapterPlusImageProjection, IPAdapterFullImageProjection and the `to_k_ip`, `to_v_ip` of its attention
/// processors), with weights as published: `image_proj.*`, `ip_adapter.<2 i + 1>.to_[k|v]_ip`.
template <class T>
class IpAdapter {
 public:
  IpAdapter(const IpAdapterConfig& config, const nn::Loader& loader);

  /// Tokens `[N, S, width]` of `embedding[N, input_width]`, or of `states[N, L, input_width]` where the
  /// configuration says that they are read. Throws ArgumentError for another shape.
  Tensor<float> tokens(const ops::Context& context, const Tensor<float>& features) const;
  /// For each cross-attention `[N, S, 2 width of the keys]`, the keys first.
  std::vector<Tensor<float>> keys_values(const ops::Context& context, const Tensor<float>& tokens) const;

  const IpAdapterConfig& config() const noexcept { return config_; }

 private:
  struct ResamplerLayer {
    nn::LayerNorm norm1, norm2;
    nn::Linear<T> to_q, to_kv, to_out;
    nn::LayerNorm norm;
    nn::Linear<T> in, out;
  };
  Tensor<float> resampled(const ops::Context& context, const Tensor<float>& states) const;

  IpAdapterConfig config_;
  std::shared_ptr<const ops::Engine> engine_;
  std::optional<nn::Linear<T>> first_, second_;  // of the projection and the perceptron, or around the layers
  Tensor<float> latents_;
  std::vector<ResamplerLayer> layers_;
  nn::LayerNorm norm_;
  std::vector<nn::Linear<T>> to_kv_;
};

}  // namespace daguerre::models
