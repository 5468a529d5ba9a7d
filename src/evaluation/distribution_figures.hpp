#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "daguerre/evaluation/evaluate.hpp"
#include "daguerre/metrics/feature_statistics.hpp"

/// Figures of distributions, from what jobs found before: whoever made the pictures, and wherever their
/// features lie.
namespace daguerre::evaluation {

/// One side of a measure: what a network saw of pictures, or statistics of that.
struct Distribution {
  std::string title;  ///< for warnings: "A"
  Index count = 0;    ///< of pictures; 0: not known
  std::optional<ChunkResults> pictures{};
  std::string features = "features", logits = "logits";  ///< the names of the tensors in `pictures`
  std::optional<metrics::Gaussian> gaussian{};           ///< of statistics; of pictures where it is known
};

/// Runs the network over pictures, or takes their statistics; what is to be said of that goes to `report`.
/// Throws what `run_features` and FeatureStatisticsFile::check throw.
Distribution distribution_of(const PicturesOrStatistics& side, std::string title,
                             const FeatureNetwork& network, const JobOptions& job, Report& report);
/// Throws ArgumentError for one picture.
metrics::Gaussian gaussian_of(const Distribution& distribution);
/// Warns of fewer pictures than dimensions.
void warn_of_few(Report& report, const Distribution& distribution, Index dimensions);

bool is_inception(const FeatureNetwork& network);
/// Throws ArgumentError for a network that does not classify.
void require_classifier(const FeatureNetwork& network);
/// Rows of length 1.
Tensor<float> unit_rows(const Tensor<float>& rows);

/// Each adds what the function of evaluate.hpp that is called alike reports; but for the Frechet distance and
/// statistics, both sides must be pictures.
void add_frechet_distance(Report& report, const Distribution& a, const Distribution& b,
                          const FeatureNetwork& network, const std::stop_token& stop);
void add_inception_score(Report& report, const Distribution& pictures, const FeatureNetwork& network,
                         const InceptionScoreSettings& settings);
void add_kernel_distance(Report& report, const Distribution& a, const Distribution& b,
                         const FeatureNetwork& network, const KernelDistanceSettings& settings);
void add_precision_recall(Report& report, const Distribution& a, const Distribution& b,
                          const FeatureNetwork& network, Index neighbours);
void add_cmmd(Report& report, const Distribution& a, const Distribution& b, const FeatureNetwork& network);

}  // namespace daguerre::evaluation
