#include <algorithm>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/metrics/clip_score.hpp"
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

}  // namespace

Report evaluate_clip_score(const PictureSet& set, Prompts prompts, const FeatureNetwork& network,
                           const JobOptions& job) {
  require_texts(network, "CLIP score");
  Report report;
  const auto found = cosines(set, prompts, network, job, report);
  const auto scaled = [&](double weight, bool clamps_each) {
    auto values = found.values;
    for (double& value : values) value = weight * (clamps_each ? std::max(value, 0.0) : value);
    return values;
  };
  const std::string rest =
      "; " + network_text(network) + "; " + counted(static_cast<Index>(found.values.size()), "pair");
  auto score = mean_figure("CLIP score", scaled(100.0, false),
                           "100 cos(picture, prompt), the mean clamped at 0 (torchmetrics)" + rest);
  score.value = std::max(score.value, 0.0);
  report.figures.push_back(std::move(score));
  report.figures.push_back(
      mean_figure("CLIPScore", scaled(2.5, true),
                  "2.5 max(cos(picture, prompt), 0) of each pair (Hessel et al.)" + rest));
  return report;
}

Report evaluate_hps(const PictureSet& set, Prompts prompts, const FeatureNetwork& network,
                    const JobOptions& job) {
  require_texts(network, "HPSv2");
  Report report;
  if (network.kind() != "hps")
    report.warnings.push_back("HPSv2 prepares pictures as the network kind hps does, not " + network.kind());
  const auto found = cosines(set, prompts, network, job, report);
  report.figures.push_back(mean_figure("HPSv2", found.values,
                                       "cos(picture, prompt), not scaled; " + network_text(network) + "; " +
                                           counted(static_cast<Index>(found.values.size()), "pair")));
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
    const auto found = metrics::directional_similarity(
        picked_rows(before.tensors.at("features"), rows_a).to<double>(),
        picked_rows(after.tensors.at("features"), rows_b).to<double>(),
        network.texts(texts_a, job.stop).to<double>(), network.texts(texts_b, job.stop).to<double>());
    values.insert(values.end(), found.begin(), found.end());
  }
  if (values.empty())
    throw ArgumentError(evaluate_speaker, "there is no pair of which both pictures can be read");
  report.figures.push_back(
      mean_figure("CLIP directional similarity", values,
                  "the cosine between the change of the picture and that of the prompt, both of unit "
                  "embeddings; " +
                      network_text(network) + "; " + counted(static_cast<Index>(values.size()), "pair")));
  return report;
}

}  // namespace daguerre::evaluation
