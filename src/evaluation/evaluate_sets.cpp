#include "evaluation/distribution_figures.hpp"
#include "evaluation/evaluate.hpp"

namespace daguerre::evaluation {

Report evaluate_frechet_distance(const PicturesOrStatistics& a, const PicturesOrStatistics& b,
                                 const FeatureNetwork& network, const JobOptions& job) {
  Report report;
  const auto left = distribution_of(a, "A", network, job, report),
             right = distribution_of(b, "B", network, job, report);
  add_frechet_distance(report, left, right, network, job.stop);
  return report;
}

GatheredStatistics gather_statistics(const PictureSet& set, const FeatureNetwork& network,
                                     const JobOptions& job) {
  GatheredStatistics result;
  const auto gathered = distribution_of(set, "the set", network, job, result.report);
  result.statistics = {gaussian_of(gathered), gathered.count,        network.kind(),
                       network.definition(),  network.fingerprint(), set.path().filename().string()};
  warn_of_few(result.report, gathered, network.dimension());
  return result;
}

Report evaluate_inception_score(const PictureSet& set, const FeatureNetwork& network,
                                const InceptionScoreSettings& settings, const JobOptions& job) {
  require_classifier(network);
  Report report;
  add_inception_score(report, distribution_of(set, "the set", network, job, report), network, settings);
  return report;
}

Report evaluate_kernel_distance(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                                const KernelDistanceSettings& settings, const JobOptions& job) {
  Report report;
  const auto left = distribution_of(a, "A", network, job, report),
             right = distribution_of(b, "B", network, job, report);
  add_kernel_distance(report, left, right, network, settings);
  return report;
}

Report evaluate_precision_recall(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                                 Index neighbours, const JobOptions& job) {
  Report report;
  const auto left = distribution_of(a, "A", network, job, report),
             right = distribution_of(b, "B", network, job, report);
  add_precision_recall(report, left, right, network, neighbours);
  return report;
}

Report evaluate_cmmd(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                     const JobOptions& job) {
  Report report;
  if (network.kind() != "cmmd")
    report.warnings.push_back("CMMD's reference prepares pictures as the network kind cmmd does, not " +
                              network.kind());
  const auto left = distribution_of(a, "A", network, job, report),
             right = distribution_of(b, "B", network, job, report);
  add_cmmd(report, left, right, network);
  return report;
}

}  // namespace daguerre::evaluation
