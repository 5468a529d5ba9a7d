#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/nn/conv.hpp"
#include "daguerre/ops/pool.hpp"

namespace daguerre::models {

/// The networks whose features LPIPS compares, as torchvision has them.
enum class LpipsTrunk {
  alex,     ///< AlexNet, five layers of features
  vgg,      ///< VGG16, five
  squeeze,  ///< SqueezeNet 1.1, seven
};
/// "alex", "vgg", "squeeze", as the package `lpips` calls them.
std::string_view name(LpipsTrunk trunk) noexcept;
/// The inverse; nothing for another name.
std::optional<LpipsTrunk> lpips_trunk(std::string_view name) noexcept;

/// Whose trunk these tensors are, called as `with_lpips_names` calls them. Throws WeightError for none.
LpipsTrunk lpips_trunk_of(const weights::StateDict& weights);
/// The tensors of a trunk and of the linear layers under the names `features.0.weight` … (torchvision's) and
/// `lin0.model.1.weight` …. They may come from torchvision's file of the whole network and the package's
/// `alex.pth` … (StateDict::joined), or from a state of the package's class LPIPS (`net.slice1.0.weight` …).
/// What classifies, and what the package stores twice or never changes, is left out.
weights::StateDict with_lpips_names(const weights::StateDict& weights);

/// What is asked of Lpips.
struct LpipsOptions {
  bool linear = true;    ///< channels are weighted by the linear layers; else all count 1 (the "baseline")
  bool spatial = false;  ///< the map, too
};

/// How far pictures are apart.
struct LpipsDistance {
  Tensor<float> distance;  ///< `[N]`, the sum over layers
  Tensor<float> layers;    ///< `[N, L]`
  Tensor<float> map;       ///< `[N, H, W, 1]` where it was asked for: at the pictures' size, bilinear
};

namespace detail {

/// A part of a trunk: a convolution, or a fire module, behind a max pool perhaps.
struct LpipsStep {
  int number = 0;  ///< among torchvision's `features`
  Index in = 0, out = 0, kernel = 3;
  int stride = 1, pad = 1;
  Index squeezed = 0;                     ///< channels between a fire module's convolutions; 0: none is one
  std::optional<ops::PoolWindow> pool{};  ///< of what comes in
  bool is_compared = false;               ///< what comes out
};

struct LpipsTrunkShape {
  Index smallest_side = 0;  ///< of the pictures, that leaves a pixel
  std::vector<LpipsStep> steps;
};
LpipsTrunkShape lpips_trunk_shape(LpipsTrunk trunk);

/// Convolutions and ReLUs; a fire module squeezes channels, and expands them by 1 x 1 and 3 x 3 pixels side
/// by side (Iandola et al. 2016).
template <class T>
class LpipsStage {
 public:
  LpipsStage(const nn::Loader& loader, const LpipsStep& step);
  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const;
  bool is_compared() const noexcept { return is_compared_; }

 private:
  std::optional<ops::PoolWindow> pool_;
  std::vector<nn::Conv2d<T>> convs_;
  bool is_compared_;
};

}  // namespace detail

/// LPIPS v0.1 (Zhang et al., arXiv:1801.03924; the package `lpips`): how unlike two pictures look, as the
/// weighted squared distance between the directions of a network's features, averaged over the pixels of each
/// layer and added up.
template <class T>
class Lpips {
 public:
  /// Reads what `with_lpips_names` names. Throws WeightError.
  Lpips(LpipsTrunk trunk, const nn::Loader& loader);

  /// Pictures `[N, H, W, 3]` in [-1, 1], one by one against their partners. Throws ArgumentError where the
  /// shapes differ or sides are shorter than `smallest_side`, Cancelled.
  LpipsDistance operator()(const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b,
                           const LpipsOptions& options = {}) const;
  /// What is compared, layer by layer, `[N, h, w, C]`. Throws likewise.
  std::vector<Tensor<float>> features(const ops::Context& context, const Tensor<float>& pictures) const;

  LpipsTrunk trunk() const noexcept { return trunk_; }
  Index smallest_side() const noexcept { return smallest_side_; }

 private:
  Tensor<T> prepared(const ops::Context& context, const Tensor<float>& pictures) const;

  LpipsTrunk trunk_;
  Index smallest_side_;
  std::vector<detail::LpipsStage<T>> stages_;
  std::vector<Tensor<float>> weights_;  // of the channels of each layer
};

}  // namespace daguerre::models
