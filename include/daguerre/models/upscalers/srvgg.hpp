#pragma once

#include <vector>

#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

/// SRVGGNetCompact's sizes, as the shapes of its tensors tell them.
struct SrvggConfig {
  Index channels = 3;  ///< of a picture
  Index features = 64;
  int convs = 16;   ///< between the first and the last one
  Index scale = 4;  ///< how many times as large the picture becomes

  /// Throws WeightError where tensors are missing or have shapes that do not go together.
  static SrvggConfig from(const weights::StateDict& weights);
};

/// Whether these are the tensors of an SRVGGNetCompact (`body.0`, `body.1` …, each second one slopes).
bool is_srvgg(const weights::StateDict& weights);

/// Real-ESRGAN's small network (Wang et al. 2021; its SRVGGNetCompact with PReLU): convolutions at the
/// picture's own size whose last makes the pixels that are added to the picture, repeated.
template <class T>
class Srvgg {
 public:
  Srvgg(const SrvggConfig& config, const nn::Loader& loader);

  /// Pictures `[N, H, W, channels]` in [0, 1] to `[N, scale H, scale W, channels]`, about [0, 1]. Throws
  /// ArgumentError, Cancelled.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& pictures) const;

  const SrvggConfig& config() const noexcept { return config_; }

 private:
  SrvggConfig config_;
  std::vector<nn::Conv2d<T>> convs_;
  std::vector<Tensor<float>> slopes_;  // behind each convolution but the last
};

}  // namespace daguerre::models
