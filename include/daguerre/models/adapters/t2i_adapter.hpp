#pragma once

#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/linear.hpp"

namespace daguerre::models {

/// diffusers' T2IAdapter; defaults are its own.
struct T2IAdapterConfig {
  enum class Kind { full, full_xl, light };
  Kind kind = Kind::full;
  Index in_channels = 3;
  std::vector<Index> channels{320, 640, 1280, 1280};
  int num_res_blocks = 2;
  Index downscale_factor = 8;  ///< pixels along a side to one of the first feature map

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static T2IAdapterConfig from(const Config& config);
  /// Channels of each feature map.
  std::vector<Index> feature_channels() const;
};

/// A small network beside a U-Net that makes feature maps of a picture to keep to, once for all steps (Mou et
/// al. 2023). Weights must bear diffusers' names.
template <class T>
class T2IAdapter {
 public:
  T2IAdapter(const T2IAdapterConfig& config, const nn::Loader& loader);

  /// `picture[N, H, W, in_channels]` in [0, 1], with sides that downscale_factor divides, to what is added to
  /// the result of each of the U-Net's blocks on the way down, `[N, h, w, C]`. Throws ArgumentError.
  std::vector<Tensor<float>> operator()(const ops::Context& context, const Tensor<float>& picture) const;

  const T2IAdapterConfig& config() const noexcept { return config_; }

 private:
  /// x + second(relu(first(x))).
  struct Layer {
    nn::Conv2d<T> first, second;
  };
  struct Block {
    bool halves = false;            // height and width, before all else
    std::vector<nn::Linear<T>> in;  // at most one
    std::vector<Layer> layers;
    std::vector<nn::Linear<T>> out;  // at most one
  };
  Block block(const nn::Loader& loader, Index in, Index out, bool halves) const;

  T2IAdapterConfig config_;
  std::vector<nn::Conv2d<T>> conv_in_;  // none in light ones
  std::vector<Block> blocks_;
};

}  // namespace daguerre::models
