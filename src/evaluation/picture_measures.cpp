#include "daguerre/evaluation/picture_measures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/evaluate.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/metrics/paired.hpp"
#include "evaluation/distribution_figures.hpp"
#include "evaluation/evaluate.hpp"
#include "evaluation/measure_names.hpp"
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
  std::string suffix{};     ///< of its figures' names, where others are called alike
};

bool scores_pictures(MeasureKind kind) {
  return kind == MeasureKind::clip || kind == MeasureKind::hps;
}

std::string tensor_name(const std::string& prefix, const char* what, std::size_t network) {
  return prefix + what + "." + std::to_string(network);
}

/// A name of its own for LPIPS of each network.
std::string pair_key(const PairMeasure& pair) {
  return "pair." + pair.name + "." + pair.definition;
}

/// Appends what tells a measure apart to the names of a report's figures from `begin` on.
void name_apart(Report& report, std::size_t begin, const std::string& suffix) {
  for (std::size_t i = begin; i < report.figures.size(); ++i) report.figures[i].name += suffix;
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
  std::vector<std::string> pair_networks;          ///< "alex:PATH", nothing where there is none
  std::vector<std::string> pair_suffixes;          ///< as PictureMeasure's
  std::map<std::size_t, Distribution> references;  ///< by network
  Report about_reference;
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

  void name_measures();

  std::string score_name(const PictureMeasure& measure) const {
    return measure.kind == MeasureKind::clip ? "CLIP score" : "HPSv2";
  }
  /// Whether their figures have one name: an Inception's have their own.
  bool are_called_alike(const PictureMeasure& a, const PictureMeasure& b) const {
    return a.kind == b.kind && is_inception(networks[a.network]) == is_inception(networks[b.network]);
  }
  std::string score_definition(const PictureMeasure& measure, std::size_t count) const {
    return (measure.kind == MeasureKind::clip ? "100 x cosine, not clamped; " : "cosine; ") +
           network_text(networks[measure.network]) + ", n " + std::to_string(count);
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
    const auto dash = text.find('-');
    pair_networks.push_back(dash == text.npos ? "" : text.substr(dash + 1));
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
    const PictureMeasure measure{
        row.kind, load_network(row.network_is_named ? text.substr(colon + 1) : text), {}};
    for (const auto& other : measures)
      if (other.kind == measure.kind && other.network == measure.network)
        throw ArgumentError(measures_name, in_quotes(text) + " is named twice");
    if (measure.kind == MeasureKind::inception_score) require_classifier(networks[measure.network]);
    measures.push_back(measure);
    return;
  }
  throw ArgumentError(measures_name,
                      in_quotes(text) +
                          " is none of fid:NETWORK:PATH, kid:…, pr:…, is:NETWORK:PATH, cmmd:PATH, clip:PATH, "
                          "hps:PATH, lpips-alex:PATH, lpips-vgg:PATH, lpips-squeeze:PATH, psnr, ssim");
}

void PictureMeasures::State::name_measures() {
  for (auto& measure : measures) {
    std::vector<std::string> alike;
    std::size_t place = 0;
    for (const auto& other : measures) {
      if (!are_called_alike(other, measure)) continue;
      if (&other == &measure) place = alike.size();
      alike.push_back(network_names[other.network]);
    }
    measure.suffix = suffixes_of(alike)[place];
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    std::vector<std::string> alike;
    std::size_t place = 0;
    for (std::size_t j = 0; j < pairs.size(); ++j) {
      if (pairs[j].name != pairs[i].name) continue;
      if (j == i) place = alike.size();
      alike.push_back(pair_networks[j]);
    }
    pair_suffixes.push_back(suffixes_of(alike)[place]);
  }
}

void PictureMeasures::State::read_reference() {
  if (options.reference.empty()) return;
  const auto reference = open_pictures_or_statistics(options.reference);
  for (const auto& measure : measures) {
    if (measure.kind == MeasureKind::inception_score || scores_pictures(measure.kind)) continue;
    if (measure.kind != MeasureKind::frechet && std::holds_alternative<FeatureStatisticsFile>(reference))
      throw ArgumentError(measures_name,
                          options.reference.string() + ": holds statistics; kid, pr and cmmd need pictures");
    auto found = references.find(measure.network);
    if (found == references.end()) {
      Report seen;
      auto distribution =
          distribution_of(reference, "the reference", networks[measure.network], options.job, seen);
      about_reference.append(seen);
      found = references.emplace(measure.network, std::move(distribution)).first;
    }
    if (measure.kind == MeasureKind::frechet) found->second.gaussian = gaussian_of(found->second);
  }
}

PictureMeasures PictureMeasures::load(std::span<const std::string> measures, const MeasureOptions& options) {
  if (measures.empty()) throw ArgumentError(measures_name, "there are none");
  auto state = std::make_shared<State>();
  state->options = options;
  for (const auto& measure : measures) state->add(measure);
  state->name_measures();
  state->read_reference();
  return PictureMeasures(std::move(state));
}

bool PictureMeasures::has_pair_measures() const noexcept {
  return !state_->pairs.empty();
}

bool PictureMeasures::has_picture_measures() const noexcept {
  return !state_->measures.empty();
}

const Report& PictureMeasures::about_reference() const noexcept {
  return state_->about_reference;
}

std::string PictureMeasures::settings() const {
  auto networks = nlohmann::json::array();
  for (const auto& network : state_->networks)
    networks.push_back(
        {{"kind", network.kind()}, {"definition", network.definition()}, {"weights", network.fingerprint()}});
  auto scores = nlohmann::json::array(), pairs = nlohmann::json::array();
  std::set<std::pair<std::size_t, bool>> kept;  // networks, and whether their logits or features
  for (const auto& measure : state_->measures)
    if (scores_pictures(measure.kind))
      scores.push_back(measure.network);
    else
      kept.emplace(measure.network, measure.kind == MeasureKind::inception_score);
  for (const auto& pair : state_->pairs) pairs.push_back({pair.name, pair.definition, pair.engine});
  return to_text({{"networks", networks}, {"cosines", scores}, {"kept", kept}, {"pairs", pairs}});
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
        chunk.values[tensor_name(prefix, "cosine", n)] =
            metrics::cosine_similarity(seen.features.to<double>(), texts.to<double>());
      } else if (measure.kind == MeasureKind::inception_score) {
        keeps_logits = true;
      } else {
        keeps_features = true;
      }
    }
    if (keeps_features) chunk.tensors[tensor_name(prefix, "features", n)] = std::move(seen.features);
    if (keeps_logits) chunk.tensors[tensor_name(prefix, "logits", n)] = std::move(seen.logits);
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
  Distribution made;
  made.title = "the model";
  made.count = results.count();
  made.pictures = results;
  made.features = tensor_name(prefix, "features", measure.network);
  made.logits = tensor_name(prefix, "logits", measure.network);
  const auto begin = report.figures.size();
  const auto reference = [&]() -> const Distribution& { return references.at(measure.network); };
  switch (measure.kind) {
    case MeasureKind::frechet:
      add_frechet_distance(report, made, reference(), network, options.job.stop);
      break;
    case MeasureKind::kernel:
      add_kernel_distance(report, made, reference(), network, {});
      break;
    case MeasureKind::precision_recall:
      add_precision_recall(report, made, reference(), network, 3);
      break;
    case MeasureKind::cmmd:
      add_cmmd(report, made, reference(), network);
      break;
    case MeasureKind::inception_score:
      add_inception_score(report, made, network, {});
      break;
    case MeasureKind::clip:
    case MeasureKind::hps:
      break;  // of each picture
  }
  name_apart(report, begin, measure.suffix);
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
    const auto cosines = results.values(tensor_name(prefix, "cosine", measure.network));
    const auto& network = state_->networks[measure.network];
    const auto begin = report.figures.size();
    for (const auto& [category, places] : grouped(categories)) {
      const auto some = picked(cosines, places);
      auto figure =
          measure.kind == MeasureKind::clip ? clip_score_figure(some, network) : hps_figure(some, network);
      figure.category = category;
      report.figures.push_back(std::move(figure));
    }
    name_apart(report, begin, measure.suffix);
  }
  return report;
}

Report PictureMeasures::pair_figures(const ChunkResults& results,
                                     std::span<const std::string> categories) const {
  Report report;
  for (std::size_t n = 0; n < state_->pairs.size(); ++n) {
    const auto& pair = state_->pairs[n];
    const auto name = pair.name + state_->pair_suffixes[n];
    const auto values = results.values(pair_key(pair));
    for (const auto& [category, places] : grouped(categories)) {
      const auto some = picked(values, places);
      const auto endless = std::ranges::count_if(some, [](double value) { return std::isinf(value); });
      const auto definition = pair.definition + ", n " + std::to_string(some.size());
      // Of equal pictures the PSNR is infinite, and so is any mean with one of them.
      if (endless == 0) {
        report.figures.push_back(
            interval_figure(name, category, metrics::interval_of_mean(some), definition));
      } else {
        Figure figure;
        figure.name = name;
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
    const auto name = state_->score_name(measure) + measure.suffix;
    const auto of = [&](const char* prefix) {
      auto scores = results.values(tensor_name(prefix, "cosine", measure.network));
      if (measure.kind == MeasureKind::clip)
        for (double& score : scores) score *= 100.0;
      return scores;
    };
    const auto left = of("a."), right = of("b.");
    for (const auto& [category, places] : grouped(categories)) {
      const auto about = state_->score_definition(measure, places.size());
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
