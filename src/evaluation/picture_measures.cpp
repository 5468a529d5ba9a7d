#include "daguerre/evaluation/picture_measures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/evaluate.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/inception_score.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/paired.hpp"
#include "evaluation/pair_measures.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* measures_name = "measures";
constexpr double endless_bound = std::numeric_limits<double>::infinity();

enum class MeasureKind { frechet, kernel, precision_recall, cmmd, inception_score, clip, hps };
struct MeasureRow {
  const char* name;
  MeasureKind kind;
  bool against_reference;
  bool network_is_named;  ///< NETWORK stands behind the colon, and not a path alone
};
constexpr std::array<MeasureRow, 7> measure_rows{{{"fid", MeasureKind::frechet, true, true},
                                                  {"kid", MeasureKind::kernel, true, true},
                                                  {"pr", MeasureKind::precision_recall, true, true},
                                                  {"cmmd", MeasureKind::cmmd, true, false},
                                                  {"is", MeasureKind::inception_score, false, true},
                                                  {"clip", MeasureKind::clip, false, false},
                                                  {"hps", MeasureKind::hps, false, false}}};

struct PictureMeasure {
  MeasureKind kind = MeasureKind::frechet;
  std::size_t network = 0;  ///< its place among those that are loaded
};

bool scores_pictures(MeasureKind kind) {
  return kind == MeasureKind::clip || kind == MeasureKind::hps;
}

/// The reference as one measure needs it.
struct Reference {
  std::optional<metrics::Gaussian> gaussian{};
  Tensor<float> features{};
};

std::string tensor_name(const std::string& prefix, const char* what, std::size_t network) {
  return prefix + what + "." + std::to_string(network);
}

/// A name of its own for LPIPS of each network.
std::string pair_key(const PairMeasure& pair) {
  return "pair." + pair.name + "." + pair.definition;
}

Figure interval_figure(std::string name, std::string category, const metrics::Interval& interval,
                       std::string definition) {
  Figure figure;
  figure.name = std::move(name);
  figure.category = std::move(category);
  figure.value = interval.value;
  if (std::isfinite(interval.low)) figure.low = interval.low;
  if (std::isfinite(interval.high)) figure.high = interval.high;
  figure.definition = std::move(definition);
  return figure;
}

/// Places of the items of each category; the first entry is all of them.
std::vector<std::pair<std::string, std::vector<std::size_t>>> grouped(
    std::span<const std::string> categories) {
  std::vector<std::pair<std::string, std::vector<std::size_t>>> groups(1);
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < categories.size(); ++i) {
    groups[0].second.push_back(i);
    if (categories[i].empty()) continue;
    const auto [place, is_new] = places.emplace(categories[i], groups.size());
    if (is_new) groups.push_back({categories[i], {}});
    groups[place->second].second.push_back(i);
  }
  return groups;
}

std::vector<double> picked(const std::vector<double>& values, const std::vector<std::size_t>& places) {
  std::vector<double> result;
  for (const auto place : places) result.push_back(values.at(place));
  return result;
}

}  // namespace

struct PictureMeasures::State {
  std::vector<std::string> network_names;
  std::vector<FeatureNetwork> networks;
  std::vector<PictureMeasure> measures;
  std::vector<PairMeasure> pairs;
  std::map<std::size_t, Reference> references;  ///< by network
  std::string reference_name;
  MeasureOptions options;

  std::size_t load_network(const std::string& name) {
    const auto found = std::ranges::find(network_names, name);
    if (found != network_names.end()) return static_cast<std::size_t>(found - network_names.begin());
    networks.push_back(FeatureNetwork::load(name, options.network));
    network_names.push_back(name);
    return networks.size() - 1;
  }
  void add(const std::string& text);
  void read_reference();

  std::string score_name(const PictureMeasure& measure) const {
    return measure.kind == MeasureKind::clip ? "CLIP score" : "HPSv2";
  }
  std::string score_definition(const PictureMeasure& measure, std::size_t count) const {
    return (measure.kind == MeasureKind::clip ? "100 x cosine, not clamped; " : "cosine; ") +
           networks[measure.network].definition() + ", n " + std::to_string(count);
  }
  void add_distribution_figure(const PictureMeasure& measure, const ChunkResults& results,
                               const std::string& prefix, Report& report) const;
};

void PictureMeasures::State::add(const std::string& text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  if (auto pair = open_pair_measure(text, options.network)) {
    for (const auto& other : pairs)
      if (other.name == pair->name && other.definition == pair->definition)
        throw ArgumentError(measures_name, in_quotes(text) + " is named twice");
    pairs.push_back(std::move(*pair));
    return;
  }
  for (const auto& row : measure_rows) {
    if (name != row.name) continue;
    if (colon == text.npos || colon + 1 == text.size())
      throw ArgumentError(measures_name, in_quotes(text) + ": expected " + name +
                                             (row.network_is_named ? ":NETWORK:PATH" : ":PATH"));
    if (row.against_reference && options.reference.empty())
      throw ArgumentError(measures_name,
                          in_quotes(text) + " compares with a reference: pictures, or their statistics");
    const PictureMeasure measure{row.kind,
                                 load_network(row.network_is_named ? text.substr(colon + 1) : text)};
    for (const auto& other : measures)
      if (other.kind == measure.kind && other.network == measure.network)
        throw ArgumentError(measures_name, in_quotes(text) + " is named twice");
    measures.push_back(measure);
    return;
  }
  throw ArgumentError(measures_name,
                      in_quotes(text) +
                          " is none of fid:NETWORK:PATH, kid:…, pr:…, is:NETWORK:PATH, cmmd:PATH, clip:PATH, "
                          "hps:PATH, lpips-alex:PATH, lpips-vgg:PATH, lpips-squeeze:PATH, psnr, ssim");
}

void PictureMeasures::State::read_reference() {
  if (options.reference.empty()) return;
  reference_name = options.reference.filename().string();
  if (reference_name.empty()) reference_name = options.reference.parent_path().filename().string();
  const auto reference = open_pictures_or_statistics(options.reference);
  for (const auto& measure : measures) {
    if (measure.kind == MeasureKind::inception_score || scores_pictures(measure.kind)) continue;
    auto& seen = references[measure.network];
    const auto& network = networks[measure.network];
    const bool needs_pictures = measure.kind != MeasureKind::frechet;
    if (const auto* statistics = std::get_if<FeatureStatisticsFile>(&reference)) {
      if (needs_pictures)
        throw ArgumentError(
            measures_name, options.reference.string() + ": holds statistics; kid, pr and cmmd need pictures");
      if (const auto warning = statistics->check(network); !warning.empty() && options.network.log)
        options.network.log(LogLevel::warning, warning);
      seen.gaussian = statistics->gaussian;
      continue;
    }
    const auto features = run_features(std::get<PictureSet>(reference), network, options.job);
    if (needs_pictures)
      seen.features = features.tensor("features");
    else
      seen.gaussian = feature_statistics(features).gaussian();
  }
}

PictureMeasures PictureMeasures::load(std::span<const std::string> measures, const MeasureOptions& options) {
  if (measures.empty()) throw ArgumentError(measures_name, "there are none");
  auto state = std::make_shared<State>();
  state->options = options;
  for (const auto& measure : measures) state->add(measure);
  state->read_reference();
  return PictureMeasures(std::move(state));
}

bool PictureMeasures::has_pair_measures() const noexcept {
  return !state_->pairs.empty();
}

bool PictureMeasures::has_picture_measures() const noexcept {
  return !state_->measures.empty();
}

std::string PictureMeasures::settings() const {
  auto networks = nlohmann::json::array();
  for (const auto& network : state_->networks)
    networks.push_back(
        {{"kind", network.kind()}, {"definition", network.definition()}, {"weights", network.fingerprint()}});
  auto scores = nlohmann::json::array(), pairs = nlohmann::json::array();
  for (const auto& measure : state_->measures)
    if (scores_pictures(measure.kind)) scores.push_back(measure.network);
  for (const auto& pair : state_->pairs) pairs.push_back({pair.name, pair.definition});
  return to_text({{"networks", networks}, {"scores", scores}, {"pairs", pairs}});
}

void PictureMeasures::look(std::span<const Image> pictures, std::span<const std::string> prompts,
                           const std::string& prefix, ChunkValues& chunk, std::stop_token stop) const {
  const auto& state = *state_;
  for (std::size_t n = 0; n < state.networks.size(); ++n) {
    auto seen = state.networks[n](pictures, stop);
    bool keeps_features = false, keeps_logits = false;
    for (const auto& measure : state.measures) {
      if (measure.network != n) continue;
      if (scores_pictures(measure.kind)) {
        const auto texts = state.networks[n].texts(prompts, stop);
        auto scores = metrics::cosine_similarity(seen.features.to<double>(), texts.to<double>());
        if (measure.kind == MeasureKind::clip)
          for (double& score : scores) score *= 100.0;
        chunk.values[tensor_name(prefix, "score", n)] = std::move(scores);
      } else if (measure.kind == MeasureKind::inception_score) {
        keeps_logits = true;
      } else {
        keeps_features = true;
      }
    }
    if (keeps_features) chunk.tensors[tensor_name(prefix, "features", n)] = std::move(seen.features);
    if (!keeps_logits) continue;
    if (seen.logits.empty())
      throw ArgumentError(measures_name, state.networks[n].kind() +
                                             " does not classify, so that it has no "
                                             "Inception Score");
    chunk.tensors[tensor_name(prefix, "logits", n)] = std::move(seen.logits);
  }
}

void PictureMeasures::look_at_pairs(std::span<const Image> a, std::span<const Image> b,
                                    ChunkValues& chunk) const {
  if (a.size() != b.size())
    throw ArgumentError(measures_name, std::to_string(a.size()) + " pictures and " +
                                           std::to_string(b.size()) + ", expected pairs");
  for (const auto& pair : state_->pairs) {
    auto& values = chunk.values[pair_key(pair)];
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i].width() != b[i].width() || a[i].height() != b[i].height())
        throw ArgumentError(measures_name, pair.name + ": a pair is " + std::to_string(a[i].width()) + " x " +
                                               std::to_string(a[i].height()) + " and " +
                                               std::to_string(b[i].width()) + " x " +
                                               std::to_string(b[i].height()) + ", expected one size");
      values.push_back(pair.measure(a[i], b[i]));
    }
  }
}

void PictureMeasures::State::add_distribution_figure(const PictureMeasure& measure,
                                                     const ChunkResults& results, const std::string& prefix,
                                                     Report& report) const {
  const auto& network = networks[measure.network];
  const auto count = std::to_string(results.count());
  Figure figure;
  if (measure.kind == MeasureKind::inception_score) {
    const auto logits = results.tensor(tensor_name(prefix, "logits", measure.network)).to<double>();
    metrics::InceptionScoreOptions settings;
    settings.splits = std::min<Index>(settings.splits, results.count());
    settings.shuffle_seed = 2020;
    const auto score = metrics::inception_score(logits, settings);
    figure.name = "Inception Score";
    figure.value = score.mean;
    figure.deviation = score.standard_deviation;
    figure.definition = std::to_string(settings.splits) + " splits, shuffled by RandomState(2020); " +
                        network.definition() + ", n " + count;
    report.figures.push_back(std::move(figure));
    return;
  }
  const auto features = results.tensor(tensor_name(prefix, "features", measure.network));
  const auto& reference = references.at(measure.network);
  const auto definition = network.definition() + ", n " + count + ", against " + reference_name;
  switch (measure.kind) {
    case MeasureKind::frechet: {
      const bool inception = network.kind() == "pytorch-fid" || network.kind() == "torch-fidelity";
      figure.name = inception ? "FID" : "Frechet distance";
      const auto groups = std::min<Index>(options.frechet_groups, results.count());
      if (groups >= 10) {
        const auto estimate =
            metrics::estimate_frechet_distance(features, *reference.gaussian, {.groups = groups});
        figure.value = estimate.value;
        figure.low = estimate.low;
        figure.high = estimate.high;
        figure.definition = definition + "; jackknife of " + std::to_string(groups) + " groups";
      } else {
        figure.value = metrics::frechet_distance(metrics::FeatureStatistics::of(features).gaussian(),
                                                 *reference.gaussian);
        figure.definition = definition;
      }
      if (results.count() <= network.dimension())
        report.warnings.push_back(figure.name + " of " + count + " pictures in " +
                                  std::to_string(network.dimension()) +
                                  " dimensions: fewer pictures than dimensions, so it is far above that of "
                                  "many pictures; compare only with figures of the same number");
      break;
    }
    case MeasureKind::kernel: {
      metrics::KernelDistanceOptions settings;
      settings.subset_size = std::min({settings.subset_size, results.count(), reference.features.dim(0)});
      const auto distance = metrics::kernel_distance(features, reference.features, settings);
      figure.name = "KID";
      figure.value = distance.mean;
      figure.deviation = distance.standard_deviation;
      figure.definition = std::to_string(settings.subsets) + " subsets of " +
                          std::to_string(settings.subset_size) + "; " + definition;
      break;
    }
    default:
      add_other_distribution_figures(measure.kind == MeasureKind::cmmd, features, reference.features,
                                     network.threads(), definition, report);
      return;
  }
  report.figures.push_back(std::move(figure));
}

Report PictureMeasures::distribution_figures(const ChunkResults& results, const std::string& prefix) const {
  Report report;
  for (const auto& measure : state_->measures)
    if (!scores_pictures(measure.kind)) state_->add_distribution_figure(measure, results, prefix, report);
  return report;
}

Report PictureMeasures::figures(const ChunkResults& results, const std::string& prefix,
                                std::span<const std::string> categories) const {
  auto report = distribution_figures(results, prefix);
  for (const auto& measure : state_->measures) {
    if (!scores_pictures(measure.kind)) continue;
    const auto values = results.values(tensor_name(prefix, "score", measure.network));
    for (const auto& [category, places] : grouped(categories))
      report.figures.push_back(interval_figure(state_->score_name(measure), category,
                                               metrics::interval_of_mean(picked(values, places)),
                                               state_->score_definition(measure, values.size())));
  }
  return report;
}

Report PictureMeasures::pair_figures(const ChunkResults& results,
                                     std::span<const std::string> categories) const {
  Report report;
  for (const auto& pair : state_->pairs) {
    const auto values = results.values(pair_key(pair));
    for (const auto& [category, places] : grouped(categories)) {
      const auto some = picked(values, places);
      const auto endless = std::ranges::count_if(some, [](double value) { return std::isinf(value); });
      const auto definition = pair.definition + ", n " + std::to_string(some.size());
      // Of equal pictures the PSNR is infinite, and so is any mean with one of them.
      if (endless == 0) {
        report.figures.push_back(
            interval_figure(pair.name, category, metrics::interval_of_mean(some), definition));
      } else {
        Figure figure;
        figure.name = pair.name;
        figure.category = category;
        figure.value = std::numeric_limits<double>::infinity();
        figure.definition = definition + ", " + std::to_string(endless) + " pairs equal";
        report.figures.push_back(std::move(figure));
      }
    }
  }
  return report;
}

Report PictureMeasures::paired_figures(const ChunkResults& results, const std::string& a,
                                       const std::string& b, std::span<const std::string> categories) const {
  Report report;
  for (const auto& measure : state_->measures) {
    if (!scores_pictures(measure.kind)) continue;
    const auto name = state_->score_name(measure);
    const auto of = [&](const char* prefix) {
      return results.values(tensor_name(prefix, "score", measure.network));
    };
    const auto left = of("a."), right = of("b.");
    const auto about = state_->score_definition(measure, left.size());
    for (const auto& [category, places] : grouped(categories)) {
      const auto first = picked(left, places), second = picked(right, places);
      const auto pairs = metrics::compare_paired(first, second);
      const auto add = [&](const std::string& what, const std::string& where,
                           const metrics::Interval& interval, const std::string& how) {
        report.figures.push_back(interval_figure(name + ": " + what, where, interval, how + "; " + about));
      };
      add(a, category, metrics::interval_of_mean(first), "mean, Student's t");
      add(b, category, metrics::interval_of_mean(second), "mean, Student's t");
      add(a + " - " + b, category, pairs.difference, "mean difference of pairs, Student's t");
      add(a + " - " + b + " (bootstrap)", category, pairs.bootstrap,
          "mean difference of pairs, bootstrap of 10000 by seed 0");
      add(a + " above " + b, category, pairs.win_rate, "share of pairs, equal ones half, Wilson's interval");
      add("sign test", category, {pairs.sign_test, -endless_bound, endless_bound},
          "two-sided probability of so uneven pairs by chance");
    }
  }
  return report;
}

}  // namespace daguerre::evaluation
