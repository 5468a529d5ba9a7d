#pragma once

#include "daguerre/models/denoisers/features.hpp"
#include "daguerre/ops/context.hpp"

/// What networks beside a denoiser add to what runs through it.
namespace daguerre {

/// For one call of the denoiser; the leading axis of each counts the branches of guidance.
struct Features {
  models::UNetFeatures unet{};
  models::TransformerFeatures transformer{};

  bool empty() const noexcept {
    return unet.down_residuals.empty() && unet.down_features.empty() && transformer.residuals.empty() &&
           transformer.single_residuals.empty();
  }
};

/// How many there are and of which widths: those that a denoiser takes, or that a network beside it makes.
struct FeatureSizes {
  enum class Kind { none, unet, transformer };
  Kind kind = Kind::none;
  // Of a U-Net:
  std::vector<Index> residuals{};  ///< channels of each skip connection, from the outermost on
  std::vector<Index> blocks{};     ///< channels of each block's result on the way down, and of the middle's
  // Of a transformer:
  Index width = 0;  ///< of a token
  int layers = 0,
      single_layers = 0;  ///< blocks, those with weights for the picture and the prompt apart first
};

/// Both added up, each where the other has nothing as it is; residuals of transformers with a denoiser of
/// those sizes, which may be shared in other ways by each. Throws ArgumentError where shapes or numbers
/// differ.
Features sum_of(const ops::Context& context, const Features& a, const Features& b, const FeatureSizes& takes);

}  // namespace daguerre
