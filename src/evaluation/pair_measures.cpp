#include "evaluation/pair_measures.hpp"

#include <utility>

#include "daguerre/metrics/cmmd.hpp"
#include "daguerre/metrics/precision_recall.hpp"
#include "daguerre/metrics/psnr.hpp"
#include "daguerre/metrics/ssim.hpp"

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

double ssim_of(const Image& a, const Image& b) {
  return metrics::ssim(bytes_of(a), bytes_of(b), metrics::SsimOptions::wang(255.0)).front();
}

}  // namespace

std::optional<PairMeasure> open_pair_measure(const std::string& measure, const FeatureNetworkOptions&) {
  if (measure == "psnr") return PairMeasure{"PSNR", "dB, 8-bit RGB, range 255", psnr_of};
  if (measure == "ssim")
    return PairMeasure{
        "SSIM", "Wang et al. 2004: Gaussian window of 11 x 11, sigma 1.5, 8-bit RGB, range 255", ssim_of};
  return std::nullopt;
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
