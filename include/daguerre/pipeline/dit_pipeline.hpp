#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/log.hpp"
#include "daguerre/models/autoencoder_kl.hpp"
#include "daguerre/models/dit.hpp"
#include "daguerre/pipeline/class_names.hpp"
#include "daguerre/pipeline/denoising.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

/// The two networks of a DiTPipeline, whatever precision they run in. Tensors at this border are float32.
struct DiTNetworks {
  models::DiTConfig transformer;
  models::AutoencoderKlConfig autoencoder;
  /// As models::DiT, at one timestep for all.
  std::function<Tensor<float>(const ops::Context& context, const Tensor<float>& sample, float timestep,
                              std::span<const std::int32_t> class_labels)>
      denoise;
  /// As models::AutoencoderKl::decode; unscaled latents.
  std::function<Tensor<float>(const ops::Context& context, const Tensor<float>& latents)> decode;
};

/// What one run of `DiTPipeline` is to make.
struct DiTTask {
  std::vector<std::int32_t> class_labels;  ///< one for each image of the batch
  Index height = 256, width = 256;         ///< in pixels
  int steps = 50;
  Guidance guidance{.scale = 4.0f};
  double eta = 0.0;
  Tensor<float> latents;  ///< initial noise `[N, h, w, C]` of unit variance; empty: drawn
  std::shared_ptr<const samplers::Sampler> sampler;
};

/// Class to image with a diffusion transformer (Peebles & Xie 2023; diffusers' DiTPipeline). Guidance mixes
/// in the prediction for the null class; a learned variance is dropped. Immutable; safe to use from many
/// threads, each with a context of its own.
class DiTPipeline {
 public:
  /// Throws ConfigError when the transformer's channels are not the autoencoder's latents, or twice as many
  /// out.
  DiTPipeline(DiTNetworks networks, ClassNames class_names);
  /// Loads the model below `folder` (`transformer`, `vae`, model_index.json) in `precision`, the
  /// transformer in diffusers' layout or the original's. `log` is told of tensors that nothing asked for.
  static DiTPipeline load(const std::filesystem::path& folder,
                          const ops::Context& compute, Precision precision,
                          bool allow_trailing_bytes, const LogSink& log);

  struct Result {
    Tensor<float> latents;  ///< `[N, h, w, C]`, scaled as the transformer sees them
    Tensor<float> decoded;  ///< `[N, H, W, 3]`, about [-1, 1]
  };
  /// Throws ArgumentError for a task that is not possible, NumericError when a network's result is not
  /// finite, Cancelled, and whatever `on_step` throws.
  Result run(const ops::Context& context, const DiTTask& task, NoiseStreams& noise,
             const StepObserver& on_step = {}) const;
  /// Pictures from scaled latents, one image at a time.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;

  const DiTNetworks& networks() const noexcept { return networks_; }
  const ClassNames& class_names() const noexcept { return class_names_; }
  /// Width and height in pixels that the model was trained at.
  std::pair<Index, Index> default_size() const noexcept {
    const Index side = networks_.transformer.sample_size * networks_.autoencoder.downscale();
    return {side, side};
  }

 private:
  void check(const DiTTask& task) const;

  DiTNetworks networks_;
  ClassNames class_names_;
};

}  // namespace daguerre
