#include "evaluation/pair_measures.hpp"

#include <utility>

#include "daguerre/evaluation/perceptual_distance.hpp"

namespace daguerre::evaluation {
std::optional<PairMeasure> open_pair_measure(const std::string& measure,
                                             const FeatureNetworkOptions& options) {
  if (measure == "psnr") return psnr_measure();
  if (measure == "ssim") return ssim_measure();
  if (!measure.starts_with("lpips-")) return std::nullopt;
  const auto distance = PerceptualDistance::load(measure, options);
  auto result = lpips_measure(distance);
  result.measure = [distance, stop = options.stop](const Image& a, const Image& b) {
    return distance(a, b, stop);
  };
  return result;
}

}  // namespace daguerre::evaluation
