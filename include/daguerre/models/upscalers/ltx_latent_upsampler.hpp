#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/norm.hpp"

namespace daguerre::models {

/// diffusers' LTXLatentUpsamplerModel; defaults are its own.
struct LTXLatentUpsamplerConfig {
  Index in_channels = 128;  ///< of latents, in and out
  Index mid_channels = 512;
  int num_blocks_per_stage = 4;
  bool frames_apart = false;  ///< `dims` of 2: every frame is a picture
  bool spatial_upsample = true;
  bool temporal_upsample = false;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static LTXLatentUpsamplerConfig from(const Config& config);
};

/// The network that doubles LTX-Video's latents in rows and columns, or in frames, before a second pass
/// refines them (HaCohen et al. 2024; LTX-Video 0.9.7).
template <class T>
class LTXLatentUpsampler {
 public:
  LTXLatentUpsampler(const LTXLatentUpsamplerConfig& config, const nn::Loader& loader);

  /// `[N, F, h, w, in_channels]`, as an autoencoder gives them, not normalised, to `[N, F, 2 h, 2 w,
  /// in_channels]`; where frames are doubled to 2 F - 1 of them. Throws ArgumentError for another shape.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& latents) const;

  const LTXLatentUpsamplerConfig& config() const noexcept { return config_; }

 private:
  /// A convolution over pictures, or over films, of which each picture is one.
  template <class Element>
  using Convolution = std::variant<nn::Conv2d<Element>, nn::Conv3d<Element>>;
  template <class Element>
  static Convolution<Element> convolution(const nn::Loader& loader, Index in, Index out, bool frames_apart);
  template <class Element>
  static Tensor<float> convolve(const ops::Context& context, const Convolution<Element>& convolution,
                                const Tensor<Element>& film);

  struct ResBlock {
    Convolution<T> conv1;
    nn::GroupNorm norm1;
    Convolution<T> conv2;
    nn::GroupNorm norm2;
  };
  ResBlock res_block(const nn::Loader& loader) const;
  /// A norm over each picture where frames are apart, else over the film.
  template <class Element>
  Tensor<Element> normed(const ops::Context& context, const nn::GroupNorm& norm,
                         const Tensor<float>& film) const;
  Tensor<float> run(const ops::Context& context, const ResBlock& block, const Tensor<float>& x) const;
  Tensor<float> doubled(const ops::Context& context, const Tensor<float>& x) const;

  LTXLatentUpsamplerConfig config_;
  Convolution<float> initial_conv_;
  nn::GroupNorm initial_norm_;
  std::vector<ResBlock> res_blocks_, post_upsample_res_blocks_;
  Convolution<T> upsampler_;
  Convolution<float> final_conv_;
};

}  // namespace daguerre::models
