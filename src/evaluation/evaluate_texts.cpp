#include <algorithm>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "evaluation/distribution_figures.hpp"
#include "evaluation/evaluate.hpp"

namespace daguerre::evaluation {
namespace {

void require_texts(const FeatureNetwork& network, const char* measure) {
  if (!network.reads_texts())
    throw ArgumentError(evaluate_speaker,
                        std::string(measure) +
                            " needs a network that reads texts: clip:PATH or hps:PATH, found " +
                            network.kind());
}

Tensor<float> picked_rows(const Tensor<float>& rows, std::span<const Index> order) {
  Tensor<float> result({static_cast<Index>(order.size()), rows.dim(1)});
  float* out = result.data();
  for (const Index row : order) out = std::copy_n(rows[row].data(), rows.dim(1), out);
  return result;
}

/// The cosine of each picture that can be read with its own prompt.
struct Cosines {
  std::vector<double> values;
  std::vector<Index> items;
};

Cosines cosines(const PictureSet& set, Prompts prompts, const FeatureNetwork& network, const JobOptions& job,
                Report& report) {
  check_numbers_agree(static_cast<Index>(prompts.size()), "prompts", set.size(),
                      "pictures in " + set.path().string());
  const auto pictures = run_features(set, network, job);
  list_unreadable(report, pictures, set.path().filename().string());
  Cosines result;
  // A chunk of both at a time; one prompt is often that of several pictures in a row.
  for (Index chunk = 0; chunk < pictures.chunks(); ++chunk) {
    const auto done = pictures.read(chunk);
    const auto found = done.tensors.find("features");
    if (found == done.tensors.end()) continue;
    std::vector<std::string> distinct;
    std::vector<Index> rows;
    for (const Index item : done.items) {
      const auto& prompt = prompts[static_cast<std::size_t>(item)];
      const auto place = std::find(distinct.begin(), distinct.end(), prompt);
      rows.push_back(place - distinct.begin());
      if (place == distinct.end()) distinct.push_back(prompt);
    }
    const auto texts = picked_rows(network.texts(distinct, job.stop), rows);
    const auto values = metrics::cosine_similarity(found->second.to<double>(), texts.to<double>());
    result.values.insert(result.values.end(), values.begin(), values.end());
    result.items.insert(result.items.end(), done.items.begin(), done.items.end());
  }
  return result;
}

/// What a figure of pairs was made with.
std::string pairs_text(const FeatureNetwork& network, std::size_t count) {
  return "; " + network_text(network) + "; " + counted(static_cast<Index>(count), "pair");
}

/// Cosines between the changes of pictures and of texts; 0 where one of them did not change at all, of which
/// `unchanged` is told.
std::vector<double> directions(const Tensor<float>& pictures_a, const Tensor<float>& pictures_b,
                               const Tensor<float>& texts_a, const Tensor<float>& texts_b, Index& unchanged) {
  const auto are_equal = [](const Tensor<float>& a, const Tensor<float>& b, Index row) {
    return std::ranges::equal(a[row].span(), b[row].span());
  };
  const auto unit_a = unit_rows(pictures_a), unit_b = unit_rows(pictures_b);
  const auto words_a = unit_rows(texts_a), words_b = unit_rows(texts_b);
  std::vector<Index> changed;
  for (Index i = 0; i < pictures_a.dim(0); ++i)
    if (!are_equal(unit_a, unit_b, i) && !are_equal(words_a, words_b, i)) changed.push_back(i);
  unchanged += pictures_a.dim(0) - static_cast<Index>(changed.size());
  std::vector<double> result(static_cast<std::size_t>(pictures_a.dim(0)), 0.0);
  if (changed.empty()) return result;
  const auto of = [&](const Tensor<float>& rows) { return picked_rows(rows, changed).to<double>(); };
  const auto found =
      metrics::directional_similarity(of(pictures_a), of(pictures_b), of(texts_a), of(texts_b));
  for (std::size_t i = 0; i < changed.size(); ++i) result[static_cast<std::size_t>(changed[i])] = found[i];
  return result;
}

}  // namespace

Figure clip_score_figure(std::span<const double> cosines, const FeatureNetwork& network) {
  std::vector<double> values(cosines.begin(), cosines.end());
  for (double& value : values) value *= 100.0;
  auto figure = mean_figure(
      "CLIP score", values,
      "100 cos(picture, prompt), the mean clamped at 0 (torchmetrics)" + pairs_text(network, values.size()));
  figure.value = std::max(figure.value, 0.0);
  for (auto* bound : {&figure.low, &figure.high})
    if (*bound) *bound = std::max(**bound, 0.0);
  return figure;
}

Figure hps_figure(std::span<const double> cosines, const FeatureNetwork& network) {
  return mean_figure("HPSv2", cosines,
                     "cos(picture, prompt), not scaled" + pairs_text(network, cosines.size()));
}

Report evaluate_clip_score(const PictureSet& set, Prompts prompts, const FeatureNetwork& network,
                           const JobOptions& job) {
  require_texts(network, "CLIP score");
  Report report;
  const auto found = cosines(set, prompts, network, job, report);
  report.figures.push_back(clip_score_figure(found.values, network));
  auto clamped = found.values;
  for (double& value : clamped) value = 2.5 * std::max(value, 0.0);
  report.figures.push_back(mean_figure(
      "CLIPScore", clamped,
      "2.5 max(cos(picture, prompt), 0) of each pair (Hessel et al.)" + pairs_text(network, clamped.size())));
  return report;
}

Report evaluate_hps(const PictureSet& set, Prompts prompts, const FeatureNetwork& network,
                    const JobOptions& job) {
  require_texts(network, "HPSv2");
  Report report;
  if (network.kind() != "hps")
    report.warnings.push_back("HPSv2 prepares pictures as the network kind hps does, not " + network.kind());
  const auto found = cosines(set, prompts, network, job, report);
  report.figures.push_back(hps_figure(found.values, network));
  return report;
}

Report evaluate_directional(const PictureSet& a, const PictureSet& b, Prompts prompts_a, Prompts prompts_b,
                            const FeatureNetwork& network, const JobOptions& job) {
  require_texts(network, "CLIP directional similarity");
  check_numbers_agree(a.size(), "pictures in " + a.path().string(), b.size(),
                      "pictures in " + b.path().string());
  check_numbers_agree(static_cast<Index>(prompts_a.size()), "prompts of A", a.size(), "pictures");
  check_numbers_agree(static_cast<Index>(prompts_b.size()), "prompts of B", b.size(), "pictures");
  Report report;
  const auto left = run_features(a, network, job), right = run_features(b, network, job);
  list_unreadable(report, left, a.path().filename().string());
  list_unreadable(report, right, b.path().filename().string());
  std::vector<double> values;
  Index unchanged = 0;
  for (Index chunk = 0; chunk < left.chunks(); ++chunk) {
    const auto before = left.read(chunk), after = right.read(chunk);
    std::vector<Index> rows_a, rows_b;
    std::vector<std::string> texts_a, texts_b;
    for (std::size_t i = 0; i < before.items.size(); ++i) {
      const Index item = before.items[i];
      const auto place = std::lower_bound(after.items.begin(), after.items.end(), item);
      if (place == after.items.end() || *place != item) continue;
      rows_a.push_back(static_cast<Index>(i));
      rows_b.push_back(place - after.items.begin());
      texts_a.push_back(prompts_a[static_cast<std::size_t>(item)]);
      texts_b.push_back(prompts_b[static_cast<std::size_t>(item)]);
    }
    if (rows_a.empty()) continue;
    const auto found = directions(
        picked_rows(before.tensors.at("features"), rows_a), picked_rows(after.tensors.at("features"), rows_b),
        network.texts(texts_a, job.stop), network.texts(texts_b, job.stop), unchanged);
    values.insert(values.end(), found.begin(), found.end());
  }
  if (values.empty())
    throw ArgumentError(evaluate_speaker, "there is no pair of which both pictures can be read");
  if (unchanged > 0)
    report.warnings.push_back(counted(unchanged, "pair") + " of " + std::to_string(values.size()) +
                              ": the picture or the prompt does not change at all, which counts as 0");
  report.figures.push_back(
      mean_figure("CLIP directional similarity", values,
                  "the cosine between the change of the picture and that of the prompt, both of unit "
                  "embeddings" +
                      pairs_text(network, values.size())));
  return report;
}

}  // namespace daguerre::evaluation
