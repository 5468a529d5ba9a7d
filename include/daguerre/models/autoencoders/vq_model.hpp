#pragma once

#include <cstdint>

#include "daguerre/models/autoencoders/autoencoder_parts.hpp"

namespace daguerre::models {

/// diffusers' VQModel.
struct VqModelConfig : AutoencoderShape {
  Index num_vq_embeddings = 256;
  Index vq_embed_dim = 3;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static VqModelConfig from(const Config& config);
};

/// An autoencoder whose latents are brought to the nearest of a codebook's vectors before they are decoded
/// (van den Oord et al. 2017; Rombach et al. 2022, app. G): pictures `[N, H, W, 3]` in [-1, 1] to latents
/// `[N, h, w, vq_embed_dim]` and back.
template <class T>
class VqModel {
 public:
  VqModel(const VqModelConfig& config, const nn::Loader& loader);

  /// Latents, which are not of the codebook yet. Throws ArgumentError.
  Tensor<float> encode(const ops::Context& context, const Tensor<float>& pictures) const;
  /// The indices of the vectors nearest to `latents`, `[N, h, w]`.
  Tensor<std::int32_t> codes(const ops::Context& context, const Tensor<float>& latents) const;
  /// The vectors at `codes[N, h, w]`, `[N, h, w, vq_embed_dim]`. Throws ArgumentError for other indices.
  Tensor<float> vectors(const ops::Context& context, const Tensor<std::int32_t>& codes) const;
  /// Pictures, about [-1, 1], of latents that are brought to the codebook first, or taken as they are.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents, bool quantize = true) const;

  const VqModelConfig& config() const noexcept { return config_; }

 private:
  VqModelConfig config_;
  AutoencoderEncoder<T> encoder_;
  AutoencoderDecoder<T> decoder_;
  nn::Linear<T> quant_conv_, post_quant_conv_;  // 1 x 1 convolutions
  Tensor<float> codebook_;
};

}  // namespace daguerre::models
