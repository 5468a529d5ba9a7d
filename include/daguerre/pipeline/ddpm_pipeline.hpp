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
#include "daguerre/models/unet_2d.hpp"
#include "daguerre/pipeline/denoising.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

/// The network of a DDPMPipeline, whatever precision it runs in. Tensors at this border are float32.
struct DDPMNetwork {
  models::UNet2DConfig unet;
  /// As models::UNet2D, at one timestep for all.
  std::function<Tensor<float>(const ops::Context& context, const Tensor<float>& sample, float timestep,
                              std::span<const std::int32_t> class_labels)>
      denoise;
};

/// What one run of `DDPMPipeline` is to make.
struct DDPMTask {
  Index batch = 1;
  std::vector<std::int32_t> class_labels;  ///< one for each image where the model takes classes, else none
  Index height = 32, width = 32;           ///< in pixels
  int steps = 1000;
  double eta = 0.0;
  bool use_clipped_model_output = false;  ///< see samplers::RunOptions
  Tensor<float> latents;                  ///< initial noise `[N, H, W, C]` of unit variance; empty: drawn
  std::shared_ptr<const samplers::Sampler> sampler;
};

/// Pictures from noise without an autoencoder (Ho et al. 2020; diffusers' DDPMPipeline, and DDIMPipeline with
/// DDIM as the sampler). A variance that the model predicts goes to the sampler. Immutable; safe to use from
/// many threads, each with a context of its own.
class DDPMPipeline {
 public:
  /// Throws ConfigError for channels that are not a picture's.
  explicit DDPMPipeline(DDPMNetwork network);
  /// Loads `unet` below `folder` in `precision`. `log` is told of tensors that nothing asked for.
  static DDPMPipeline load(const std::filesystem::path& folder,
                           const ops::Context& compute, Precision precision,
                           bool allow_trailing_bytes, const LogSink& log);

  /// Pictures `[N, H, W, C]`, about [-1, 1]. Throws ArgumentError for a task that is not possible,
  /// NumericError when the network's result is not finite, Cancelled, and whatever `on_step` throws.
  Tensor<float> run(const ops::Context& context, const DDPMTask& task, NoiseStreams& noise,
                    const StepObserver& on_step = {}) const;

  const DDPMNetwork& network() const noexcept { return network_; }
  /// Width and height that the model was trained at.
  std::pair<Index, Index> default_size() const noexcept {
    return {network_.unet.sample_width, network_.unet.sample_height};
  }

 private:
  void check(const DDPMTask& task) const;

  DDPMNetwork network_;
};

}  // namespace daguerre
