#include "daguerre/ops/batch_norm.hpp"

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace daguerre::ops {
namespace {

/// A weight's rows, each times a number of its own.
class ScaledRowDecoder final : public RowDecoder {
 public:
  ScaledRowDecoder(Weight base, std::vector<double> scales)
      : base_(std::move(base)), scales_(std::move(scales)) {}
  void decode(const WeightSource& /*source*/, Index begin, Index end, float* out) const override {
    base_.read(begin, end, out);
    for (Index row = begin; row < end; ++row)
      for (Index i = 0; i < base_.row_size(); ++i, ++out)
        *out = static_cast<float>(scales_[static_cast<std::size_t>(row)] * static_cast<double>(*out));
  }

 private:
  Weight base_;
  std::vector<double> scales_;
};

}  // namespace

FoldedLayer fold_batch_norm(const WeightSource& weight, const BatchNorm& norm) {
  const Index channels = weight.shape.rank() == 0 ? 0 : weight.shape[0];
  for (const auto* values : {&norm.gamma, &norm.beta, &norm.mean, &norm.variance})
    if (!(values->shape() == Shape{channels}))
      throw ArgumentError("batch_norm", "parameters " + to_string(values->shape()) + " behind weight " +
                                            to_string(weight.shape));
  std::vector<double> scales;
  Tensor<float> bias({channels});
  for (Index c = 0; c < channels; ++c) {
    const auto of = [&](const Tensor<float>& values) { return static_cast<double>(values.data()[c]); };
    const double variance = of(norm.variance) + static_cast<double>(norm.epsilon);
    if (!(variance > 0.0))
      throw ArgumentError("batch_norm", "channel " + std::to_string(c) + " has the variance " +
                                            std::to_string(of(norm.variance)) + ", expected 0 or more");
    const double scale = of(norm.gamma) / std::sqrt(variance);
    scales.push_back(scale);
    bias.data()[c] = static_cast<float>(of(norm.beta) - of(norm.mean) * scale);
  }
  auto scaled = weight;
  scaled.dtype = DType::f32;
  scaled.decoder = std::make_shared<const ScaledRowDecoder>(Weight(weight), std::move(scales));
  return {std::move(scaled), std::move(bias)};
}

}  // namespace daguerre::ops
