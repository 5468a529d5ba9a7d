#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <daguerre/media/image.hpp>
#include <daguerre/ops/context.hpp>
#include <daguerre/pipeline/component_registry.hpp>

namespace daguerre::study {

/// A model's own autoencoder, in float32, as the measure of pictures: a picture's features are the posterior
/// means of its latents.
class PictureFeatures {
 public:
  /// Reads the model in `folder`; `threads` 0: as many as there are processors. Throws what Pipeline::load
  /// throws.
  PictureFeatures(const std::filesystem::path& folder, int threads);

  /// `[N, h, w, C]`, unscaled.
  Tensor<float> of(std::span<const Image> pictures) const;
  /// Pictures from latents as the denoiser sees them.
  std::vector<Image> decode(const Tensor<float>& latents) const;
  /// What the autoencoder makes of pictures: encoded and decoded.
  std::vector<Image> reconstructed(std::span<const Image> pictures) const;

 private:
  std::vector<Image> decode_unscaled(const Tensor<float>& latents) const;

  ops::Context context_;
  std::shared_ptr<const Autoencoder> autoencoder_;
};

/// Features averaged over areas so that 4 x 4 of them are left, `[N, 16 C]`. Throws ArgumentError for sides
/// that are no multiples of 4.
Tensor<float> pooled(const Tensor<float>& features);

/// The training picture whose features are nearest.
struct Match {
  std::size_t index = 0;
  double distance = 0.0;  ///< Euclidean
};
/// The match of each of `features` among `training`, `[N, h, w, C]` both.
std::vector<Match> nearest(const Tensor<float>& features, const Tensor<float>& training);

}  // namespace daguerre::study
