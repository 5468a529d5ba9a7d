#include <algorithm>
#include <cmath>

#include "core/text.hpp"
#include "daguerre/metrics/cmmd.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/inception_score.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/precision_recall.hpp"
#include "evaluation/evaluate.hpp"

namespace daguerre::evaluation {
namespace {

bool is_inception(const FeatureNetwork& network) {
  return network.kind() == "pytorch-fid" || network.kind() == "torch-fidelity";
}

/// One side of a distance between distributions.
struct Distribution {
  metrics::Gaussian gaussian;
  Index count = 0;  ///< of pictures; 0: not known
  std::optional<ChunkResults> features{};
};

Distribution distribution_of(const PicturesOrStatistics& side, const FeatureNetwork& network,
                             const JobOptions& job, Report& report) {
  if (const auto* file = std::get_if<FeatureStatisticsFile>(&side)) {
    if (const auto warning = file->check(network); !warning.empty()) report.warnings.push_back(warning);
    return {file->gaussian, file->count, {}};
  }
  const auto& set = std::get<PictureSet>(side);
  auto features = run_features(set, network, job);
  list_unreadable(report, features, set.path().filename().string());
  if (features.count() < 2)
    throw ArgumentError(evaluate_speaker, set.path().string() + ": one picture has no covariance");
  return {feature_statistics(features).gaussian(), features.count(), features};
}

std::string count_text(const Distribution& side) {
  return side.count == 0 ? "an unknown number of pictures" : counted(side.count, "picture");
}

void warn_of_few(Report& report, const char* side, const Distribution& distribution) {
  const Index dimensions = distribution.gaussian.mean.size();
  if (distribution.count == 0 || distribution.count > dimensions) return;
  report.warnings.push_back(std::string(side) + " has " + counted(distribution.count, "picture") + " for " +
                            std::to_string(dimensions) +
                            " dimensions: its covariance is singular and the distance biased upwards; "
                            "compare only figures of as many pictures");
}

/// The features of both sets; memory for all of them.
struct BothFeatures {
  Tensor<float> a, b;
};

BothFeatures features_of(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                         const JobOptions& job, Report& report) {
  const auto of = [&](const PictureSet& set) {
    const auto done = run_features(set, network, job);
    list_unreadable(report, done, set.path().filename().string());
    return done.tensor("features");
  };
  BothFeatures both;
  both.a = of(a);
  both.b = of(b);
  return both;
}

std::string sizes_text(const BothFeatures& both) {
  return counted(both.a.dim(0), "picture") + " against " + std::to_string(both.b.dim(0));
}

/// Rows of length 1.
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

}  // namespace

Report evaluate_frechet_distance(const PicturesOrStatistics& a, const PicturesOrStatistics& b,
                                 const FeatureNetwork& network, const JobOptions& job) {
  Report report;
  const auto left = distribution_of(a, network, job, report),
             right = distribution_of(b, network, job, report);
  warn_of_few(report, "A", left);
  warn_of_few(report, "B", right);
  Figure figure;
  figure.name = is_inception(network) ? "FID" : "Frechet distance";
  figure.definition = network_text(network) + "; " + count_text(left) + " against " + count_text(right);
  if (left.features) {
    metrics::FrechetInfluence influence(left.gaussian, right.gaussian);
    for (Index chunk = 0; chunk < left.features->chunks(); ++chunk) {
      if (job.stop.stop_requested()) throw Cancelled(evaluate_speaker, "a stop was requested");
      const auto done = left.features->read(chunk);
      const auto found = done.tensors.find("features");
      if (found != done.tensors.end()) influence.add(found->second);
    }
    figure.value = influence.value();
    constexpr double z = 1.959963984540054;
    const double half_width = z * influence.standard_error();
    figure.low = std::max(0.0, figure.value - half_width);
    figure.high = figure.value + half_width;
    figure.definition += "; 95 % interval by the infinitesimal jackknife over A's pictures, B taken as exact";
  } else {
    figure.value = metrics::frechet_distance(left.gaussian, right.gaussian);
    figure.definition += "; no interval, as A's pictures are not there";
  }
  report.figures.push_back(std::move(figure));
  return report;
}

GatheredStatistics gather_statistics(const PictureSet& set, const FeatureNetwork& network,
                                     const JobOptions& job) {
  GatheredStatistics result;
  const auto gathered = distribution_of(set, network, job, result.report);
  result.statistics = {gathered.gaussian,    gathered.count,        network.kind(),
                       network.definition(), network.fingerprint(), set.path().filename().string()};
  if (gathered.count <= network.dimension()) warn_of_few(result.report, "the set", gathered);
  return result;
}

Report evaluate_inception_score(const PictureSet& set, const FeatureNetwork& network,
                                const InceptionScoreSettings& settings, const JobOptions& job) {
  if (!is_inception(network))
    throw ArgumentError(evaluate_speaker,
                        "the Inception Score needs a network that classifies: torch-fidelity:PATH or "
                        "pytorch-fid:PATH, found " +
                            network.kind());
  Report report;
  const auto done = run_features(set, network, job);
  list_unreadable(report, done, set.path().filename().string());
  metrics::InceptionScoreOptions options{.splits = settings.splits, .shuffle_seed = settings.shuffle_seed};
  if (options.splits > done.count()) {
    report.warnings.push_back(std::to_string(options.splits) + " splits of " +
                              counted(done.count(), "picture") + ": as many splits as pictures were taken");
    options.splits = done.count();
  }
  const auto score = metrics::inception_score(done.tensor("logits").to<double>(), options);
  Figure figure;
  figure.name = "Inception Score";
  figure.value = score.mean;
  figure.deviation = score.standard_deviation;
  figure.definition =
      network_text(network) + "; " + counted(done.count(), "picture") + ", " +
      counted(options.splits, "split") +
      (options.shuffle_seed ? " after a shuffle of seed " + std::to_string(*options.shuffle_seed)
                            : " in order") +
      "; mean +- deviation over splits";
  report.figures.push_back(std::move(figure));
  return report;
}

Report evaluate_kernel_distance(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                                const KernelDistanceSettings& settings, const JobOptions& job) {
  Report report;
  const auto both = features_of(a, b, network, job, report);
  const Index least = std::min(both.a.dim(0), both.b.dim(0));
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
  const auto distance = metrics::kernel_distance(both.a, both.b, options);
  Figure figure;
  figure.name = is_inception(network) ? "KID" : "Kernel distance";
  figure.value = distance.mean;
  figure.deviation = distance.standard_deviation;
  figure.definition = network_text(network) + "; " + sizes_text(both) + ", " +
                      counted(options.subsets, "subset") + " of " + std::to_string(options.subset_size) +
                      ", seed " + std::to_string(options.seed) +
                      ", kernel (x.y / D + 1)^3, unbiased; mean +- deviation over subsets";
  report.figures.push_back(std::move(figure));
  return report;
}

Report evaluate_precision_recall(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                                 Index neighbours, const JobOptions& job) {
  Report report;
  const auto both = features_of(a, b, network, job, report);
  const auto found = metrics::precision_recall(both.a, both.b, neighbours, network.threads());
  const std::string definition =
      network_text(network) + "; " + sizes_text(both) + ", k = " + std::to_string(neighbours);
  // Each is the part of a number of pictures: its interval is a binomial's (Wilson's).
  const auto part = [&](const char* name, double value, Index count) {
    constexpr double z = 1.959963984540054, z2 = z * z;
    const auto n = static_cast<double>(count);
    const double middle = (value + z2 / (2 * n)) / (1 + z2 / n);
    const double half_width = z / (1 + z2 / n) * std::sqrt(value * (1 - value) / n + z2 / (4 * n * n));
    Figure figure;
    figure.name = name;
    figure.value = value;
    figure.low = std::max(0.0, middle - half_width);
    figure.high = std::min(1.0, middle + half_width);
    figure.definition = definition + "; 95 % interval as if the other set were exact (Wilson)";
    report.figures.push_back(std::move(figure));
  };
  part("Precision", found.precision, both.a.dim(0));
  part("Recall", found.recall, both.b.dim(0));
  Figure figure;
  figure.name = "F score";
  figure.value = found.f_score();
  figure.definition = definition + "; the harmonic mean of both";
  report.figures.push_back(std::move(figure));
  return report;
}

Report evaluate_cmmd(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                     const JobOptions& job) {
  Report report;
  if (network.kind() != "cmmd")
    report.warnings.push_back("CMMD's reference prepares pictures as the network kind cmmd does, not " +
                              network.kind());
  const auto both = features_of(a, b, network, job, report);
  Figure figure;
  figure.name = "CMMD";
  figure.value = metrics::cmmd(unit_rows(both.a).to<double>(), unit_rows(both.b).to<double>(),
                               metrics::CmmdOptions{.threads = network.threads()});
  figure.definition = network_text(network) + "; " + sizes_text(both) +
                      "; embeddings of length 1, Gaussian kernel of sigma 10, all pairs, times 1000";
  report.figures.push_back(std::move(figure));
  return report;
}

}  // namespace daguerre::evaluation
