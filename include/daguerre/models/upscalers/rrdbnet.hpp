#pragma once

#include <string>
#include <vector>

#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

/// RRDBNet's sizes, as the shapes of its tensors tell them.
struct RrdbNetConfig {
  Index in_channels = 3, out_channels = 3;
  Index features = 64;        ///< nf: channels of the trunk
  Index growth = 32;          ///< gc: channels that a convolution inside a dense block adds
  int blocks = 23;            ///< nb
  int doublings = 2;          ///< convolutions behind the trunk that each follow a doubling
  Index pixel_unshuffle = 1;  ///< pixels along a side that become channels ahead of the first convolution

  /// How many times as large the picture becomes.
  Index scale() const noexcept { return (Index{1} << doublings) / pixel_unshuffle; }

  /// Throws WeightError where tensors of `weights`, which are called as `with_rrdbnet_names` calls them, are
  /// missing, or have shapes that do not go together.
  static RrdbNetConfig from(const weights::StateDict& weights);
};

/// Whether these are the tensors of an RRDBNet, under BasicSR's and Real-ESRGAN's names (`conv_first`,
/// `body.0.rdb1.conv1`, `conv_up1`), those of ESRGAN's first release (`RRDB_trunk.0.RDB1.conv1`, `upconv1`)
/// or the older ones of a sequence (`model.0`, `model.1.sub.0.RDB1.conv1.0`), which most community models
/// have.
bool is_rrdbnet(const weights::StateDict& weights);
/// Those tensors under BasicSR's names. Throws WeightError where a sequence lacks its last layers.
weights::StateDict with_rrdbnet_names(const weights::StateDict& weights);

namespace detail {

/// Five convolutions, each of which sees what went into the block and what all before it made (Huang et al.
/// 2017; Wang et al. 2018, fig. 4); a fifth of the result is added to what went in.
template <class T>
class ResidualDenseBlock {
 public:
  ResidualDenseBlock(const nn::Loader& loader, const RrdbNetConfig& config);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  std::vector<nn::Conv2d<T>> convs_;
};

}  // namespace detail

/// The generator of ESRGAN (Wang et al. 2018) and Real-ESRGAN (Wang et al. 2021): residual in residual dense
/// blocks without norms, then doublings by nearest neighbour, each with a convolution.
template <class T>
class RrdbNet {
 public:
  RrdbNet(const RrdbNetConfig& config, const nn::Loader& loader);

  /// Pictures `[N, H, W, in_channels]` in [0, 1] to `[N, scale H, scale W, out_channels]`, about [0, 1]; H
  /// and W are multiples of `pixel_unshuffle`. Throws ArgumentError, Cancelled.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& pictures) const;

  const RrdbNetConfig& config() const noexcept { return config_; }

 private:
  RrdbNetConfig config_;
  nn::Conv2d<T> first_;
  std::vector<detail::ResidualDenseBlock<T>> blocks_;  // three to one residual block
  nn::Conv2d<T> trunk_;
  std::vector<nn::Conv2d<T>> doublings_;
  nn::Conv2d<T> fine_;
  nn::Conv2d<T> last_;
};

}  // namespace daguerre::models
