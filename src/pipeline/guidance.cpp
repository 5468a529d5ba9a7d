#include "daguerre/pipeline/guidance.hpp"

#include <cmath>
#include <span>

namespace daguerre {
namespace {

/// With Bessel's correction, as torch.Tensor.std.
double standard_deviation(std::span<const float> values) {
  double mean = 0.0, squares = 0.0;
  for (const float value : values) mean += static_cast<double>(value);
  mean /= static_cast<double>(values.size());
  for (const float value : values) {
    const double offset = static_cast<double>(value) - mean;
    squares += offset * offset;
  }
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

Tensor<float> apply_guidance(const Tensor<float>& unconditional, const Tensor<float>& conditional,
                             const Guidance& guidance) {
  if (!(unconditional.shape() == conditional.shape()))
    throw ArgumentError("guidance", "predictions " + to_string(unconditional.shape()) + " and " +
                                        to_string(conditional.shape()) + " differ in shape");
  Tensor<float> result(conditional.shape());
  const Index channels = result.rank() == 0 ? 1 : result.dim(-1);
  const Index steered = guidance.channels > 0 ? guidance.channels : channels;
  for (Index i = 0; i < result.size(); ++i) {
    const float base = unconditional.data()[i], wanted = conditional.data()[i];
    result.data()[i] = i % channels < steered ? base + guidance.scale * (wanted - base) : wanted;
  }
  if (guidance.rescale <= 0.0f) return result;
  for (Index n = 0; n < result.dim(0); ++n) {
    auto image = result[n];
    const double factor = standard_deviation(conditional[n].span()) / standard_deviation(image.span());
    const auto mix =
        static_cast<float>(static_cast<double>(guidance.rescale) * factor) + (1.0f - guidance.rescale);
    for (float& value : image.span()) value *= mix;
  }
  return result;
}

}  // namespace daguerre
