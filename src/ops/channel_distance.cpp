#include "daguerre/ops/channel_distance.hpp"

#include <cmath>
#include <string>

#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace {

void check_channels(const char* who, const Tensor<float>& x, const Tensor<float>& of_channels) {
  if (x.rank() != 4 || x.empty() || !(of_channels.shape() == Shape{x.dim(3)}))
    throw ArgumentError(who, to_string(x.shape()) + " and " + to_string(of_channels.shape()) +
                                 ", expected [N, H, W, C] and [C]");
}

/// 1 / (|pixel| + 1e-10).
double inverse_length(const float* pixel, Index channels) {
  double sum = 0.0;
  for (Index c = 0; c < channels; ++c) sum += static_cast<double>(pixel[c]) * static_cast<double>(pixel[c]);
  return 1.0 / (std::sqrt(sum) + 1e-10);
}

}  // namespace

Tensor<float> standardise(const Context& context, const Tensor<float>& x, const Tensor<float>& mean,
                          const Tensor<float>& deviation) {
  const Profile::Scope scope(context, OpKind::add);
  check_channels("standardise", x, mean);
  check_channels("standardise", x, deviation);
  return with_operations(
      context, [&](const Operations& engine) { return engine.standardise(context, x, mean, deviation); });
}

Tensor<float> Operations::standardise(const Context& context, const Tensor<float>& x,
                                      const Tensor<float>& mean, const Tensor<float>& deviation) const {
  const Index channels = x.dim(3);
  auto y = context.empty<float>(x.shape());
  float* const out = y.data();
  parallel_for(context.threads, x.size() / channels, 1024, [&](Index begin, Index end) {
    for (Index pixel = begin; pixel < end; ++pixel)
      for (Index c = 0; c < channels; ++c)
        out[pixel * channels + c] = (x.data()[pixel * channels + c] - mean.data()[c]) / deviation.data()[c];
  });
  return y;
}

Tensor<float> direction_distance(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                                 const Tensor<float>& weights) {
  const Profile::Scope scope(context, OpKind::add);
  check_channels("direction_distance", a, weights);
  if (!(a.shape() == b.shape()))
    throw ArgumentError("direction_distance",
                        "features are " + to_string(a.shape()) + " and " + to_string(b.shape()));
  return with_operations(
      context, [&](const Operations& engine) { return engine.direction_distance(context, a, b, weights); });
}

Tensor<float> Operations::direction_distance(const Context& context, const Tensor<float>& a,
                                             const Tensor<float>& b, const Tensor<float>& weights) const {
  const Index channels = a.dim(3);
  auto y = context.empty<float>({a.dim(0), a.dim(1), a.dim(2), 1});
  float* const out = y.data();
  parallel_for(context.threads, a.size() / channels, 64, [&](Index begin, Index end) {
    for (Index pixel = begin; pixel < end; ++pixel) {
      const float* const from_a = a.data() + pixel * channels;
      const float* const from_b = b.data() + pixel * channels;
      const double scale_a = inverse_length(from_a, channels), scale_b = inverse_length(from_b, channels);
      double sum = 0.0;
      for (Index c = 0; c < channels; ++c) {
        const double difference =
            static_cast<double>(from_a[c]) * scale_a - static_cast<double>(from_b[c]) * scale_b;
        sum += static_cast<double>(weights.data()[c]) * difference * difference;
      }
      out[pixel] = static_cast<float>(sum);
    }
  });
  return y;
}

}  // namespace daguerre::ops
