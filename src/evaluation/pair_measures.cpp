#include "evaluation/pair_measures.hpp"

#include <utility>

#include "daguerre/evaluation/perceptual_distance.hpp"
#include "daguerre/metrics/cmmd.hpp"
#include "daguerre/metrics/precision_recall.hpp"

namespace daguerre::evaluation {
std::optional<PairMeasure> open_pair_measure(const std::string& measure,
                                             const FeatureNetworkOptions& options) {
  if (measure == "psnr") return psnr_measure();
  if (measure == "ssim") return ssim_measure();
  if (!measure.starts_with("lpips-")) return std::nullopt;
  const auto distance = PerceptualDistance::load(measure, options);
  PairMeasure result;
  result.name = "LPIPS";
  result.definition = distance.definition() + ", weights " + distance.fingerprint().substr(0, 12);
  result.measure = [distance, stop = options.stop](const Image& a, const Image& b) {
    return distance(a, b, stop);
  };
  result.is_parallel = true;
  return result;
}

void add_other_distribution_figures(bool cmmd, const Tensor<float>& features, const Tensor<float>& reference,
                                    const Threads& threads, const std::string& definition, Report& report) {
  Figure figure;
  figure.definition = definition;
  if (cmmd) {
    metrics::CmmdOptions options;
    options.threads = threads;
    figure.name = "CMMD";
    figure.value = metrics::cmmd(features, reference, options);
    figure.definition = "Gaussian kernel, sigma 10, times 1000; " + definition;
    report.figures.push_back(std::move(figure));
    return;
  }
  const auto found = metrics::precision_recall(features, reference, 3, threads);
  figure.definition = "improved, k 3; " + definition;
  figure.name = "precision";
  figure.value = found.precision;
  report.figures.push_back(figure);
  figure.name = "recall";
  figure.value = found.recall;
  report.figures.push_back(std::move(figure));
}

}  // namespace daguerre::evaluation
