#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/case.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/metrics/cmmd.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/inception_input.hpp"
#include "daguerre/metrics/inception_score.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/precision_recall.hpp"
#include "daguerre/metrics/psnr.hpp"
#include "daguerre/metrics/ssim.hpp"
#include "daguerre/ops/resample.hpp"

/// Cases of `metrics/`. They name no class; what a case is shows in the names of its tensors.
namespace daguerre::conformance {
namespace {

/// Gathers the checks of one run, and knows which recorded results were compared.
class Comparison {
 public:
  Comparison(const Recorded& run, Result& result) : run_(run), result_(result) {}

  Tensor<double> in(const std::string& name) const { return run_.file().read<double>("in." + name); }

  /// Compares with `out.<name>` where that was recorded.
  void compare(const std::string& name, const Tensor<double>& actual, double bound) {
    if (!run_.has("out." + name)) return;
    add(name, test::difference(actual, run_.file().read<double>("out." + name)), bound);
  }
  void compare(const std::string& name, double actual, double bound) {
    compare(name, Tensor<double>::full({}, actual), bound);
  }
  void compare(const std::string& name, const std::vector<double>& actual, double bound) {
    compare(name, Tensor<double>::copy_of({static_cast<Index>(actual.size())}, actual), bound);
  }
  /// A number that is a difference of others, of size `scale`, and may itself be zero.
  void compare_difference(const std::string& name, double actual, double scale, double bound) {
    if (!run_.has("out." + name)) return;
    const double expected = run_.file().read<double>("out." + name).data()[0];
    add(name, {std::abs(actual - expected), std::abs(actual - expected) / scale}, bound);
  }
  /// What the case recorded beside its results.
  void compare_between(const std::string& name, const Tensor<double>& actual, double bound) {
    if (!run_.has("mid." + name)) return;
    const auto expected = run_.file().read<double>("mid." + name);
    result_.checks.push_back({name + run_.label(), test::difference(actual, expected), bound});
  }
  /// The pictures of `in.x`, and what they were made into, in float32 with channels last.
  void compare_pictures(const std::string& name, const Tensor<float>& actual, double bound) {
    if (run_.has("out." + name)) add(name, test::difference(actual, run_.tensor("out." + name)), bound);
  }

  /// A recorded result that nothing was compared with is one of a measure that is not there.
  void finish() {
    for (const auto& name : run_.names_below("out."))
      if (std::find(compared_.begin(), compared_.end(), name) == compared_.end())
        throw ConfigError("conformance", "measure \"" + name + "\" is not supported");
  }

 private:
  void add(const std::string& name, test::Difference difference, double bound) {
    compared_.push_back(name);
    result_.checks.push_back({name + run_.label(), difference, bound});
  }

  const Recorded& run_;
  Result& result_;
  std::vector<std::string> compared_;
};

void compare_distance(Comparison& run, const metrics::Gaussian& a, const metrics::Gaussian& b) {
  double scale = 0.0;
  for (Index i = 0; i < a.mean.size(); ++i) {
    const double shift = a.mean.data()[i] - b.mean.data()[i];
    scale += shift * shift + a.covariance[i].data()[i] + b.covariance[i].data()[i];
  }
  const double distance = metrics::frechet_distance(a, b);
  for (const auto* name : {"fid", "fid_by_eigenvalues", "closed_form"})
    run.compare_difference(name, distance, scale, bounds::frechet_distance);
}

void run_moments(Comparison& run) {
  compare_distance(run, {run.in("mu1"), run.in("sigma1")}, {run.in("mu2"), run.in("sigma2")});
}

void run_features(Comparison& run) {
  const auto a = metrics::FeatureStatistics::of(run.in("features1")).gaussian();
  const auto b = metrics::FeatureStatistics::of(run.in("features2")).gaussian();
  run.compare("mu1", a.mean, bounds::metric);
  run.compare("mu2", b.mean, bounds::metric);
  run.compare("sigma1", a.covariance, bounds::metric);
  run.compare("sigma2", b.covariance, bounds::metric);
  compare_distance(run, a, b);
}

/// The reference counts in float32: a ratio rounded to it is that of the same count.
void compare_manifolds(Comparison& run, const std::string& name, const metrics::PrecisionRecall& exact) {
  const auto rounded = [](double value) { return static_cast<double>(static_cast<float>(value)); };
  const metrics::PrecisionRecall found{exact.neighbours, rounded(exact.precision), rounded(exact.recall)};
  run.compare(name + ".precision", found.precision, bounds::metric);
  run.compare(name + ".recall", found.recall, bounds::metric);
  run.compare(name + ".f_score", found.f_score(), bounds::metric);
}

void run_precision_recall(Comparison& run, const Tensor<float>& a, const Tensor<float>& b,
                          const Config& config) {
  std::vector<Index> neighbours;
  for (const int k : config.require_ints("neighborhoods")) neighbours.push_back(k);
  const auto found = metrics::precision_recall(a, b, neighbours);
  const auto swapped = metrics::precision_recall(b, a, neighbours);
  const auto radii = metrics::neighbour_distances(a, neighbours);
  for (std::size_t i = 0; i < neighbours.size(); ++i) {
    const auto name = "prc_k" + std::to_string(neighbours[i]);
    compare_manifolds(run, name, found[i]);
    compare_manifolds(run, name + "_swapped", swapped[i]);
    // Distances as the root of |x|^2 + |y|^2 - 2 x.y in float32.
    run.compare_between(name + ".radius1", radii[static_cast<Index>(i)], bounds::block);
  }
}

void run_discrepancies(Comparison& run, const Recorded& recorded, const Tensor<float>& a,
                       const Tensor<float>& b, const Config& config) {
  using metrics::MmdEstimator;
  const Index count = std::min(a.dim(0), b.dim(0));
  const auto x = a.slice(0, count), y = b.slice(0, count);
  run.compare("mmd2_poly_unbiased", metrics::polynomial_mmd2(x, y), bounds::kernel_distance);
  run.compare("mmd2_poly_biased", metrics::polynomial_mmd2(x, y, {}, MmdEstimator::biased),
              bounds::kernel_distance);
  run.compare("mmd2_poly_u_statistic", metrics::polynomial_mmd2(x, y, {}, MmdEstimator::u_statistic),
              bounds::kernel_distance);
  run.compare("mmd2_rbf", metrics::gaussian_mmd2(x, y, {.sigma = config.get("rbf_sigma", 10.0)}),
              bounds::kernel_distance);
  if (!recorded.has("in.kid_subsets1")) return;
  const auto given1 = run.in("kid_subsets1"), given2 = run.in("kid_subsets2");
  const auto indices = [](const Tensor<double>& rows, Index row) {
    std::vector<Index> result;
    for (Index i = 0; i < rows.dim(1); ++i)
      result.push_back(static_cast<Index>(rows.data()[row * rows.dim(1) + i]));
    return result;
  };
  std::vector<metrics::RowSubsets> subsets;
  for (Index i = 0; i < given1.dim(0); ++i) subsets.push_back({indices(given1, i), indices(given2, i)});
  const auto distance = metrics::kernel_distance(a, b, std::span<const metrics::RowSubsets>(subsets));
  run.compare("kid_mean", distance.mean, bounds::kernel_distance);
  run.compare("kid_std", distance.standard_deviation, bounds::kernel_distance);
  // numpy.random.RandomState(2020) draws the same ones.
  const auto drawn = metrics::kernel_distance(a, b, {.subsets = given1.dim(0), .subset_size = given1.dim(1)});
  run.compare("kid_mean", drawn.mean, bounds::kernel_distance);
}

/// Scores of splits that need not be of one size, as "isc_<splits>" and "isc_shuffled_<splits>".
void run_splits(Comparison& run, const Recorded& recorded) {
  constexpr std::uint32_t seed = 2020;
  const auto logits = run.in("logits");
  for (const auto& name : recorded.names_below("out.isc_")) {
    const std::string mean = ".mean", shuffled = "shuffled_";
    if (!name.ends_with(mean)) continue;
    auto rest = name.substr(0, name.size() - mean.size());
    const std::string key = "isc_" + rest;
    metrics::InceptionScoreOptions options;
    if (rest.starts_with(shuffled)) {
      options.shuffle_seed = seed;
      rest = rest.substr(shuffled.size());
    }
    options.splits = std::stoi(rest);
    const auto score = metrics::inception_score(logits, options);
    run.compare(key + ".mean", score.mean, bounds::metric);
    run.compare(key + ".std", score.standard_deviation, bounds::kernel_distance);
  }
}

/// What torch-fidelity makes of float32 features and logits.
void run_distribution_measures(Comparison& run, const Recorded& recorded, const Config& config) {
  const auto a = recorded.file().read<float>("in.features1"), b = recorded.file().read<float>("in.features2");
  const auto gaussian_a = metrics::torch_fidelity_gaussian(a);
  const auto gaussian_b = metrics::torch_fidelity_gaussian(b);
  run.compare("mu1", gaussian_a.mean, bounds::metric);
  run.compare("mu2", gaussian_b.mean, bounds::metric);
  run.compare("sigma1", gaussian_a.covariance, bounds::metric);
  run.compare("sigma2", gaussian_b.covariance, bounds::metric);
  run.compare("fid", metrics::torch_fidelity_frechet_distance(gaussian_a, gaussian_b),
              bounds::kernel_distance);
  run_precision_recall(run, a, b, config);
  run_discrepancies(run, recorded, a, b, config);
  run_splits(run, recorded);
}

void run_cmmd(Comparison& run, const Recorded& recorded) {
  const auto embeddings = [&](const char* name) { return recorded.file().read<float>(name); };
  const auto x = embeddings("in.x"), y = embeddings("in.y");
  run.compare("cmmd", metrics::cmmd(x, y), bounds::kernel_distance);
  run.compare("cmmd_large", metrics::cmmd(embeddings("in.x_large"), embeddings("in.y_large")),
              bounds::kernel_distance);
  run.compare_difference("cmmd_same", metrics::cmmd(x, x), 1.0, bounds::metric);
  // Each of the three means is 1000 times a number near 1 that is rounded to 2^-24, and may be one such step
  // further off by the order of its sum; that between x and y counts twice.
  run.compare_difference("cmmd_float32", metrics::cmmd_in_float32(x, y), 1.0, 4.0 * 1000.0 * 0x1p-24 * 1.5);
}

/// "rgb_uniform7", "grey_gaussian", "float01_uniform11", "grey_map".
void compare_ssim(Comparison& run, const std::string& name, const Tensor<double>& a,
                  const Tensor<double>& b) {
  const std::string uniform = "_uniform", gaussian = "_gaussian", map = "_map";
  const bool is_unit = name.starts_with("float01"), is_grey = name.starts_with("grey");
  const auto prepared = [&](const Tensor<double>& pixels) {
    const Index channels = is_grey ? 1 : pixels.dim(2);
    Tensor<double> result({1, pixels.dim(0), pixels.dim(1), channels});
    for (Index i = 0; i < result.size(); ++i)
      result.data()[i] = pixels.data()[i / channels * pixels.dim(2) + i % channels] / (is_unit ? 255.0 : 1.0);
    return result;
  };
  metrics::SsimOptions options;
  if (name.ends_with(gaussian)) options = metrics::SsimOptions::wang();
  options.range = is_unit ? 1.0 : 255.0;
  if (const auto at = name.find(uniform); at != std::string::npos)
    options.size = std::stoi(name.substr(at + uniform.size()));
  const auto from = prepared(a), to = prepared(b);
  if (name.ends_with(map))
    run.compare("ssim_" + name, metrics::ssim_map(from, to, options).reshape({a.dim(0), a.dim(1)}),
                bounds::metric);
  else
    run.compare("ssim_" + name, metrics::ssim(from, to, options).front(), bounds::metric);
}

void run_ssim(Comparison& run, const Recorded& recorded) {
  const auto a = run.in("a"), b = run.in("b");
  const auto whole = [](const Tensor<double>& pixels, double divisor) {
    Tensor<double> result({1, pixels.size()});
    for (Index i = 0; i < pixels.size(); ++i) result.data()[i] = pixels.data()[i] / divisor;
    return result;
  };
  run.compare("mse", metrics::mean_squared_error(whole(a, 1.0), whole(b, 1.0)).front(), bounds::metric);
  run.compare("psnr_uint8", metrics::psnr(whole(a, 1.0), whole(b, 1.0), 255.0).front(), bounds::metric);
  run.compare("psnr_float01", metrics::psnr(whole(a, 255.0), whole(b, 255.0)).front(), bounds::metric);
  const bool is_infinite =
      metrics::psnr(whole(a, 1.0), whole(a, 1.0)).front() == std::numeric_limits<double>::infinity();
  run.compare("psnr_identical_is_inf", is_infinite ? 1.0 : 0.0, 0.0);
  for (const auto& name : recorded.names_below("out.ssim_")) compare_ssim(run, name, a, b);
}

void run_inception_score(Comparison& run, const Recorded& recorded, const Config& config) {
  const auto compare = [&](const metrics::Spread& scores, double bound) {
    run.compare("scores", scores.values, bound);
    run.compare("mean", scores.mean, bound);
    run.compare("std", scores.standard_deviation, bound);
  };
  metrics::InceptionScoreOptions options;
  options.splits = config.get("splits", 10);
  if (recorded.has("in.logits"))
    compare(metrics::inception_score(run.in("logits"), options), bounds::score_of_logits);
  if (recorded.has("in.probs"))
    compare(metrics::inception_score_of_probabilities(run.in("probs"), options), bounds::metric);
}

void run_clip_score(Comparison& run) {
  using metrics::Clamp;
  const auto images = run.in("image_embeds"), texts = run.in("text_embeds");
  const auto score = [&](double weight, Clamp clamp) {
    return metrics::clip_score(images, texts, {.weight = weight, .clamp = clamp});
  };
  run.compare("cosine", metrics::cosine_similarity(images, texts), bounds::metric);
  run.compare("clipscore_2_5", score(2.5, Clamp::each_pair).per_pair, bounds::metric);
  run.compare("score_100", score(100.0, Clamp::each_pair).per_pair, bounds::metric);
  run.compare("score_100_mean", score(100.0, Clamp::each_pair).mean, bounds::metric);
  run.compare("mean_then_clamp", score(100.0, Clamp::mean).mean, bounds::metric);
}

void run_kernel_distance(Comparison& run, const Config& config) {
  config.expect("kernel", {"\"(x.y/dim + 1)^3\""});
  run.compare("mmd2_unbiased", metrics::polynomial_mmd2(run.in("x"), run.in("y")), bounds::metric);
}

void run_psnr(Comparison& run) {
  const auto a = run.in("a"), b = run.in("b");
  run.compare("mse", metrics::mean_squared_error(a, b), bounds::metric);
  run.compare("psnr", metrics::psnr(a, b), bounds::metric);
}

void run_resize(Comparison& run, const Recorded& recorded, const Options& options) {
  const auto x = recorded.tensor("in.x"), resized = recorded.tensor("out.resized");
  const auto context = options.context();
  run.compare_pictures("resized", ops::resize_bilinear(context, x, resized.dim(1), resized.dim(2)),
                       bounds::block);
  if (resized.dim(1) == resized.dim(2))
    run.compare_pictures("scaled", metrics::inception_input(context, x, resized.dim(1)), bounds::block);
}

/// False when the run is none of those known.
bool run_known(Comparison& run, const Recorded& recorded, const Config& config, const Options& options) {
  if (recorded.has("in.sigma1"))
    run_moments(run);
  else if (recorded.has("in.features1") && config.has("neighborhoods"))
    run_distribution_measures(run, recorded, config);
  else if (recorded.has("in.features1"))
    run_features(run);
  else if (recorded.has("in.logits") || recorded.has("in.probs"))
    run_inception_score(run, recorded, config);
  else if (recorded.has("in.image_embeds"))
    run_clip_score(run);
  else if (recorded.has("out.mmd2_unbiased"))
    run_kernel_distance(run, config);
  else if (recorded.has("out.cmmd"))
    run_cmmd(run, recorded);
  else if (!recorded.names_below("out.ssim_").empty())
    run_ssim(run, recorded);
  else if (recorded.has("out.psnr"))
    run_psnr(run);
  else if (recorded.has("out.resized"))
    run_resize(run, recorded, options);
  else
    return false;
  return true;
}

}  // namespace

std::optional<Result> run_metric(const std::filesystem::path& folder, const Config& config,
                                 const Options& options) {
  if (!config.class_name().empty()) return std::nullopt;
  Result result;
  for (const auto& recorded : recorded_runs(folder)) {
    Comparison run(recorded, result);
    if (!run_known(run, recorded, config, options)) return std::nullopt;
    run.finish();
  }
  return result;
}

}  // namespace daguerre::conformance
