#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "daguerre/evaluation/feature_job.hpp"
#include "daguerre/evaluation/feature_network.hpp"
#include "daguerre/evaluation/perceptual_distance.hpp"
#include "daguerre/evaluation/picture_set.hpp"
#include "daguerre/evaluation/report.hpp"
#include "daguerre/evaluation/statistics_file.hpp"

/// Each measure as a function from sets of pictures to a Report whose figures carry their definitions and 95
/// % intervals. All of them share work among processes and go on where they were (JobOptions), list the
/// pictures that cannot be read, and throw what `run_features` throws.
namespace daguerre::evaluation {

/// Pictures, or the statistics of their features.
using PicturesOrStatistics = std::variant<PictureSet, FeatureStatisticsFile>;
/// What lies at `path`: see PictureSet::open and FeatureStatisticsFile::load.
PicturesOrStatistics open_pictures_or_statistics(const std::filesystem::path& path);

/// "FID" of Inception's features, else "Frechet distance". The interval is there where `a` is pictures: `b`
/// counts as exact (metrics::FrechetInfluence). Warns where there are fewer pictures than dimensions.
Report evaluate_frechet_distance(const PicturesOrStatistics& a, const PicturesOrStatistics& b,
                                 const FeatureNetwork& network, const JobOptions& job = {});

/// What `daguerre eval stats` writes, and what could not be read on the way.
struct GatheredStatistics {
  FeatureStatisticsFile statistics;
  Report report;
};
GatheredStatistics gather_statistics(const PictureSet& set, const FeatureNetwork& network,
                                     const JobOptions& job = {});

struct InceptionScoreSettings {
  Index splits = 10;
  std::optional<std::uint32_t> shuffle_seed = 2020;  ///< as torch-fidelity
};
/// Throws ArgumentError for a network that does not classify.
Report evaluate_inception_score(const PictureSet& set, const FeatureNetwork& network,
                                const InceptionScoreSettings& settings = {}, const JobOptions& job = {});

struct KernelDistanceSettings {
  Index subsets = 100;
  Index subset_size = 1000;  ///< where a set has fewer pictures, so many, with a warning
  std::uint32_t seed = 2020;
};
Report evaluate_kernel_distance(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                                const KernelDistanceSettings& settings = {}, const JobOptions& job = {});

/// Improved precision and recall of `a`, generated, against `b`, real.
Report evaluate_precision_recall(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                                 Index neighbours = 3, const JobOptions& job = {});

/// CMMD; the network's kind should be "cmmd", others are warned of.
Report evaluate_cmmd(const PictureSet& a, const PictureSet& b, const FeatureNetwork& network,
                     const JobOptions& job = {});

/// One prompt for each picture, in the order of the set.
using Prompts = std::span<const std::string>;

/// CLIP scores of both scales, named. Throws ArgumentError where prompts and pictures differ in number.
Report evaluate_clip_score(const PictureSet& set, Prompts prompts, const FeatureNetwork& network,
                           const JobOptions& job = {});
/// HPSv2's score, likewise.
Report evaluate_hps(const PictureSet& set, Prompts prompts, const FeatureNetwork& network,
                    const JobOptions& job = {});
/// How far the change from `a` to `b` is that from `prompts_a` to `prompts_b`; picture i of one belongs to
/// picture i of the other.
Report evaluate_directional(const PictureSet& a, const PictureSet& b, Prompts prompts_a, Prompts prompts_b,
                            const FeatureNetwork& network, const JobOptions& job = {});

/// A measure of two pictures.
struct PairMeasure {
  std::string name;        ///< "LPIPS"
  std::string definition;  ///< one line; what is measured depends on nothing else but the engine
  std::function<double(const Image& a, const Image& b)> measure;
  std::string engine{};      ///< of a network; another one's values differ in their last digits
  bool is_parallel = false;  ///< uses threads itself, so that pairs are measured one after the other
};
/// Pixels must be of one size, ArgumentError otherwise.
PairMeasure psnr_measure();
/// Likewise; with Wang et al.'s Gaussian window, else with scikit-image's default.
PairMeasure ssim_measure(bool gaussian = false);
/// How unlike they look to a network, which takes pictures of one size.
PairMeasure lpips_measure(const PerceptualDistance& distance);
/// Any measure of pairs, in the order of the sets, which must be of one number; a picture that cannot be read
/// is listed.
Report evaluate_pairs(const PictureSet& a, const PictureSet& b, const PairMeasure& measure,
                      const Threads& threads = {}, const JobOptions& job = {});

}  // namespace daguerre::evaluation
