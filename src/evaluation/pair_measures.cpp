#include "evaluation/pair_measures.hpp"

#include <utility>

#include "daguerre/metrics/psnr.hpp"

namespace daguerre::evaluation {
namespace {

/// A picture's 8-bit values, [1, H, W, 3].
Tensor<double> bytes_of(const Image& picture) {
  const auto colours = picture.channels() == 3 ? picture : picture.to_channels(3);
  Tensor<double> result({1, colours.height(), colours.width(), 3});
  double* out = result.data();
  for (const auto byte : colours.pixels()) *out++ = static_cast<double>(byte);
  return result;
}

double psnr_of(const Image& a, const Image& b) {
  return metrics::psnr(bytes_of(a), bytes_of(b), 255.0).front();
}

}  // namespace

std::optional<PairMeasure> open_pair_measure(const std::string& measure, const FeatureNetworkOptions&) {
  if (measure == "psnr") return PairMeasure{"PSNR", "dB, 8-bit RGB, range 255", psnr_of};
  return std::nullopt;
}

}  // namespace daguerre::evaluation
