#pragma once

#include <span>
#include <vector>

#include "daguerre/models/adapters/conditioning_picture.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"

namespace daguerre::models {

/// diffusers' ControlNetModel, and SparseControlNetModel, which is the same with motion modules.
struct ControlNetConfig {
  UNet2DConditionConfig unet;  ///< of which it copies the way down; what concerns the way up means nothing
  ConditioningPictureOptions picture;   ///< of what it follows
  bool global_pool_conditions = false;  ///< only the mean of each residual counts
  /// It sees nothing of the sample, and of a film's frames pictures with a channel more, which is 1 in those
  /// that there is a picture for (SparseCtrl).
  bool sparse = false;
  bool reads_latents = false;  ///< in the place of pixels (SparseCtrl's for pictures)

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static ControlNetConfig from(const Config& config);
};

/// A copy of a U-Net's way down that reads a picture to keep to, edges or depths or poses, and tells the
/// U-Net through its skip connections (Zhang et al. 2023); one that is sparse spreads what a few of a film's
/// frames show over all of them (Guo et al. 2023, SparseCtrl). Weights must bear diffusers' names.
template <class T>
class ControlNet {
 public:
  ControlNet(const ControlNetConfig& config, const nn::Loader& loader);

  struct Strength {
    float scale = 1.0f;
    /// The outermost residual counts a tenth, the middle's all, those between them on a logarithmic scale:
    /// the picture alone can then steer, without a prompt. Nothing of it where conditions are pooled.
    bool guess_mode = false;
  };

  /// What the network reads of `picture[N, H, W, C]` in [0, 1]; the same in all steps.
  Tensor<float> embed(const ops::Context& context, const Tensor<float>& picture) const {
    return picture_(context, picture);
  }
  /// What is added to the U-Net's feature maps for `sample[N, h, w, in_channels]` at `timesteps`; `hint[N, h,
  /// w, C]` is what `embed` gave. Of films, `sample[N, F, h, w, in_channels]`, the maps and hints are N F.
  /// Throws ArgumentError as UNet2DCondition does.
  UNetFeatures operator()(const ops::Context& context, const Tensor<float>& sample,
                          std::span<const float> timesteps, const UNet2DConditionInputs& inputs,
                          const Tensor<float>& hint, const Strength& strength) const;

  const ControlNetConfig& config() const noexcept { return config_; }

 private:
  Tensor<float> residual(const ops::Context& context, const nn::Linear<T>& layer, const Tensor<float>& map,
                         float scale) const;

  ControlNetConfig config_;
  UNet2DConditionEmbedder<T> embedder_;
  UNetContractingPath<T> way_down_;
  ConditioningPicture picture_;
  std::vector<nn::Linear<T>> residuals_;  // convolutions of one pixel
  nn::Linear<T> mid_residual_;
};

}  // namespace daguerre::models
