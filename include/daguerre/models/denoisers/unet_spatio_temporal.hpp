#pragma once

#include <span>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_embeddings.hpp"
#include "daguerre/models/denoisers/unet_film_body.hpp"

namespace daguerre::models {

/// diffusers' UNetSpatioTemporalConditionModel.
struct UNetSpatioTemporalConfig {
  UNet2DShape shape;
  Index sample_height = 96, sample_width = 96;  ///< of the latents that the model was trained at
  int num_frames = 25;                          ///< likewise
  Index time_embedding_dim = 0;
  Index addition_time_embed_dim = 256;  ///< of each of the time ids
  Index added_width = 768;              ///< of all of them side by side
  Index cross_attention_dim = 1024;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static UNetSpatioTemporalConfig from(const Config& config);
  /// How many numbers the model is told beside the time.
  Index time_ids() const { return added_width / addition_time_embed_dim; }
};

/// The denoiser of Stable Video Diffusion (Blattmann et al. 2023): a U-Net over the frames in which what was
/// found frame by frame is mixed with what was found along the frames. The input's channels are the latents'
/// and the picture's (8).
template <class T>
class UNetSpatioTemporal {
 public:
  UNetSpatioTemporal(const UNetSpatioTemporalConfig& config, const nn::Loader& loader);

  /// The model's output for `sample[N, F, H, W, in_channels]` at `timesteps` (one, or one for each of the N).
  /// `encoder_hidden_states[N, S, cross_attention_dim]` is the picture's embedding; `time_ids[N, K]` are
  /// frame rate, motion and the strength of the noise on the picture. Throws ArgumentError for other shapes.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                           const Tensor<float>& time_ids) const;

  const UNetSpatioTemporalConfig& config() const noexcept { return config_; }

 private:
  UNetSpatioTemporalConfig config_;
  TimeProjection time_projection_;
  nn::TimestepEmbedding<float> time_embedding_, add_embedding_;
  UNetFilmBody<T> body_;
};

}  // namespace daguerre::models
