#include <algorithm>
#include <cmath>

#include "conformance/case.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/inception_input.hpp"
#include "daguerre/metrics/inception_score.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/psnr.hpp"
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
  else if (recorded.has("in.features1"))
    run_features(run);
  else if (recorded.has("in.logits") || recorded.has("in.probs"))
    run_inception_score(run, recorded, config);
  else if (recorded.has("in.image_embeds"))
    run_clip_score(run);
  else if (recorded.has("out.mmd2_unbiased"))
    run_kernel_distance(run, config);
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
