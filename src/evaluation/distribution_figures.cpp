#include "evaluation/distribution_figures.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daguerre/metrics/cmmd.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/inception_score.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/paired.hpp"
#include "daguerre/metrics/precision_recall.hpp"
#include "evaluation/evaluate.hpp"
#include "metrics/distributions.hpp"

namespace daguerre::evaluation {
namespace {

std::string count_text(const Distribution& side) {
  return side.count == 0 ? "an unknown number of pictures" : counted(side.count, "picture");
}

std::string sizes_text(const Distribution& a, const Distribution& b) {
  return counted(a.count, "picture") + " against " + std::to_string(b.count);
}

/// Memory for all of them.
Tensor<float> features_of(const Distribution& side) {
  return side.pictures->tensor(side.features);
}

}  // namespace

Distribution distribution_of(const PicturesOrStatistics& side, std::string title,
                             const FeatureNetwork& network, const JobOptions& job, Report& report) {
  Distribution result;
  result.title = std::move(title);
  if (const auto* file = std::get_if<FeatureStatisticsFile>(&side)) {
    if (const auto warning = file->check(network); !warning.empty()) report.warnings.push_back(warning);
    result.count = file->count;
    result.gaussian = file->gaussian;
    return result;
  }
  const auto& set = std::get<PictureSet>(side);
  result.pictures = run_features(set, network, job);
  result.count = result.pictures->count();
  list_unreadable(report, *result.pictures, set.path().filename().string());
  return result;
}

metrics::Gaussian gaussian_of(const Distribution& distribution) {
  if (distribution.gaussian) return *distribution.gaussian;
  if (distribution.count < 2)
    throw ArgumentError(evaluate_speaker, distribution.title + ": one picture has no covariance");
  return feature_statistics(*distribution.pictures, distribution.features).gaussian();
}

void warn_of_few(Report& report, const Distribution& distribution, Index dimensions) {
  if (distribution.count == 0 || distribution.count > dimensions) return;
  report.warnings.push_back(distribution.title + " has " + counted(distribution.count, "picture") + " for " +
                            std::to_string(dimensions) +
                            " dimensions: its covariance is singular and the distance biased upwards; "
                            "compare only figures of as many pictures");
}

bool is_inception(const FeatureNetwork& network) {
  return network.kind() == "pytorch-fid" || network.kind() == "torch-fidelity";
}

void require_classifier(const FeatureNetwork& network) {
  if (!is_inception(network))
    throw ArgumentError(evaluate_speaker,
                        "the Inception Score needs a network that classifies: torch-fidelity:PATH or "
                        "pytorch-fid:PATH, found " +
                            network.kind());
}

Tensor<float> unit_rows(const Tensor<float>& rows) {
  auto result = rows.clone();
  const Index columns = rows.dim(1);
  float* const values = result.data();
  for (Index i = 0; i < rows.dim(0); ++i) {
    double squares = 0.0;
    for (Index j = 0; j < columns; ++j) squares += std::pow(double{values[i * columns + j]}, 2);
    const double norm = std::sqrt(squares);
    for (Index j = 0; j < columns; ++j)
      values[i * columns + j] = static_cast<float>(double{values[i * columns + j]} / norm);
  }
  return result;
}

void add_frechet_distance(Report& report, const Distribution& a, const Distribution& b,
                          const FeatureNetwork& network, const std::stop_token& stop) {
  const auto left = gaussian_of(a), right = gaussian_of(b);
  warn_of_few(report, a, network.dimension());
  warn_of_few(report, b, network.dimension());
  Figure figure;
  figure.name = is_inception(network) ? "FID" : "Frechet distance";
  figure.definition = network_text(network) + "; " + count_text(a) + " against " + count_text(b);
  if (a.pictures) {
    metrics::FrechetInfluence influence(left, right);
    for (Index chunk = 0; chunk < a.pictures->chunks(); ++chunk) {
      if (stop.stop_requested()) throw Cancelled(evaluate_speaker, "a stop was requested");
      const auto rows = a.pictures->tensor_of(chunk, a.features);
      if (!rows.empty()) influence.add(rows);
    }
    figure.value = influence.value();
    const double half_width = metrics::normal_975 * influence.standard_error();
    figure.low = std::max(0.0, figure.value - half_width);
    figure.high = figure.value + half_width;
    figure.definition +=
        "; 95 % interval by the infinitesimal jackknife over the pictures, what they are compared with taken "
        "as exact";
  } else {
    figure.value = metrics::frechet_distance(left, right);
    figure.definition += "; no interval, as A's pictures are not there";
  }
  report.figures.push_back(std::move(figure));
}

void add_inception_score(Report& report, const Distribution& pictures, const FeatureNetwork& network,
                         const InceptionScoreSettings& settings) {
  metrics::InceptionScoreOptions options{.splits = settings.splits, .shuffle_seed = settings.shuffle_seed};
  if (options.splits > pictures.count) {
    report.warnings.push_back(std::to_string(options.splits) + " splits of " +
                              counted(pictures.count, "picture") + ": as many splits as pictures were taken");
    options.splits = pictures.count;
  }
  const auto score =
      metrics::inception_score(pictures.pictures->tensor(pictures.logits).to<double>(), options);
  Figure figure;
  figure.name = "Inception Score";
  figure.value = score.mean;
  figure.deviation = score.standard_deviation;
  figure.definition =
      network_text(network) + "; " + counted(pictures.count, "picture") + ", " +
      counted(options.splits, "split") +
      (options.shuffle_seed ? " after a shuffle of seed " + std::to_string(*options.shuffle_seed)
                            : " in order") +
      "; mean +- deviation over splits";
  report.figures.push_back(std::move(figure));
}

void add_kernel_distance(Report& report, const Distribution& a, const Distribution& b,
                         const FeatureNetwork& network, const KernelDistanceSettings& settings) {
  const Index least = std::min(a.count, b.count);
  metrics::KernelDistanceOptions options;
  options.subsets = settings.subsets;
  options.subset_size = settings.subset_size;
  options.seed = settings.seed;
  options.threads = network.threads();
  if (options.subset_size > least) {
    report.warnings.push_back("subsets of " + std::to_string(options.subset_size) +
                              " pictures, but a set has " + std::to_string(least) +
                              ": subsets of so many were taken");
    options.subset_size = least;
  }
  const auto distance = metrics::kernel_distance(features_of(a), features_of(b), options);
  Figure figure;
  figure.name = is_inception(network) ? "KID" : "Kernel distance";
  figure.value = distance.mean;
  figure.deviation = distance.standard_deviation;
  figure.definition = network_text(network) + "; " + sizes_text(a, b) + ", " +
                      counted(options.subsets, "subset") + " of " + std::to_string(options.subset_size) +
                      ", seed " + std::to_string(options.seed) +
                      ", kernel (x.y / D + 1)^3, unbiased; mean +- deviation over subsets";
  report.figures.push_back(std::move(figure));
}

void add_precision_recall(Report& report, const Distribution& a, const Distribution& b,
                          const FeatureNetwork& network, Index neighbours) {
  const auto found = metrics::precision_recall(features_of(a), features_of(b), neighbours, network.threads());
  const std::string definition =
      network_text(network) + "; " + sizes_text(a, b) + ", k = " + std::to_string(neighbours);
  // Each is the part of a number of pictures: its interval is a binomial's.
  const auto part = [&](const char* name, double value, Index count) {
    const auto n = static_cast<double>(count);
    const auto interval = metrics::share_interval(std::round(value * n), n);
    Figure figure;
    figure.name = name;
    figure.value = value;
    figure.low = interval.low;
    figure.high = interval.high;
    figure.definition = definition + "; 95 % interval as if the other set were exact (Wilson)";
    report.figures.push_back(std::move(figure));
  };
  part("Precision", found.precision, a.count);
  part("Recall", found.recall, b.count);
  Figure figure;
  figure.name = "F score";
  figure.value = found.f_score();
  figure.definition = definition + "; the harmonic mean of both";
  report.figures.push_back(std::move(figure));
}

void add_cmmd(Report& report, const Distribution& a, const Distribution& b, const FeatureNetwork& network) {
  Figure figure;
  figure.name = "CMMD";
  figure.value = metrics::cmmd(unit_rows(features_of(a)).to<double>(), unit_rows(features_of(b)).to<double>(),
                               metrics::CmmdOptions{.threads = network.threads()});
  figure.definition = network_text(network) + "; " + sizes_text(a, b) +
                      "; embeddings of length 1, Gaussian kernel of sigma 10, all pairs, times 1000";
  report.figures.push_back(std::move(figure));
}

}  // namespace daguerre::evaluation
