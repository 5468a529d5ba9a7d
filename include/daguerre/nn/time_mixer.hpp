#pragma once

#include <cmath>

#include "daguerre/nn/loader.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::nn {

/// How much of what was found frame by frame stays beside what was found along the frames: a learned weight
/// (Blattmann et al. 2023, sec. 3.1; diffusers' AlphaBlender of films, "learned" and "learned_with_images").
class TimeMixer {
 public:
  /// Reads `mix_factor[1]`, whose sigmoid is the weight of the frames by themselves, or of what was found along
  /// them where it is `switched`.
  TimeMixer(const Loader& loader, bool switched) {
    const auto factor = loader.tensor("mix_factor", {1});
    const double share = 1.0 / (1.0 + std::exp(-static_cast<double>(ops::host_values(factor)[0])));
    temporal_ = static_cast<float>(switched ? share : 1.0 - share);
  }

  /// `spatial` and `temporal`, of one shape, in their shares.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& spatial,
                           Tensor<float> temporal) const {
    return ops::weighted_sum(context, spatial, 1.0f - temporal_, std::move(temporal), temporal_);
  }
  /// The same where the temporal one is `spatial` and `change`.
  Tensor<float> changed(const ops::Context& context, const Tensor<float>& spatial,
                        Tensor<float> change) const {
    return ops::weighted_sum(context, spatial, 1.0f, std::move(change), temporal_);
  }

 private:
  float temporal_;
};

}  // namespace daguerre::nn
