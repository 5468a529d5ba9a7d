#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "daguerre/metrics/psnr.hpp"
#include "daguerre/metrics/ssim.hpp"
#include "evaluation/evaluate.hpp"

namespace daguerre::evaluation {
namespace {

/// What both pictures are brought to without loss: RGB where one has colours, and no alpha.
std::pair<Tensor<double>, Tensor<double>> same_values(const Image& a, const Image& b) {
  if (a.width() != b.width() || a.height() != b.height())
    throw ArgumentError(evaluate_speaker, std::to_string(a.width()) + " x " + std::to_string(a.height()) +
                                              " and " + std::to_string(b.width()) + " x " +
                                              std::to_string(b.height()) + " pixels, expected one size");
  const Index channels = a.channels() == 1 && b.channels() == 1 ? 1 : 3;
  const auto values = [&](const Image& image) {
    const auto converted = image.to_channels(channels);
    Tensor<double> result({1, image.height(), image.width(), channels});
    std::copy(converted.pixels().begin(), converted.pixels().end(), result.data());
    return result;
  };
  return {values(a), values(b)};
}

}  // namespace

PairMeasure psnr_measure() {
  PairMeasure measure;
  measure.name = "PSNR";
  measure.definition = "10 log10(255^2 / mean squared error) in dB, 8 bits, over all channels";
  measure.measure = [](const Image& a, const Image& b) {
    const auto values = same_values(a, b);
    return metrics::psnr(values.first, values.second, 255.0).front();
  };
  return measure;
}

PairMeasure ssim_measure(bool gaussian) {
  PairMeasure measure;
  measure.name = "SSIM";
  measure.definition = gaussian ? "Gaussian window of 11 x 11, sigma 1.5 (Wang et al.)"
                                : "uniform window of 7 x 7, sample covariance (scikit-image's default)";
  measure.definition += ", K1 0.01, K2 0.03, range 255, mean over channels without the border";
  measure.measure = [gaussian](const Image& a, const Image& b) {
    const auto values = same_values(a, b);
    auto options = gaussian ? metrics::SsimOptions::wang(255.0) : metrics::SsimOptions{};
    options.range = 255.0;
    return metrics::ssim(values.first, values.second, options).front();
  };
  return measure;
}

PairMeasure lpips_measure(const PerceptualDistance& distance) {
  PairMeasure measure;
  measure.name = "LPIPS";
  constexpr std::size_t digits = 12;
  measure.definition = distance.kind() + ": " + distance.definition() + " (weights SHA-256 " +
                       distance.fingerprint().substr(0, digits) + ")";
  measure.measure = [distance](const Image& a, const Image& b) { return distance(a, b); };
  measure.engine = distance.engine();
  measure.is_parallel = true;
  return measure;
}

Report evaluate_pairs(const PictureSet& a, const PictureSet& b, const PairMeasure& measure,
                      const Threads& threads, const JobOptions& job) {
  check_numbers_agree(a.size(), "pictures in " + a.path().string(), b.size(),
                      "pictures in " + b.path().string());
  if (job.batch < 1) throw ArgumentError(evaluate_speaker, "batches of " + std::to_string(job.batch));
  const nlohmann::json settings{{"job", "pairs"},
                                {"measure", measure.name},
                                {"definition", measure.definition},
                                {"engine", measure.engine},
                                {"pictures", {a.fingerprint(), b.fingerprint()}}};
  const auto work = [&](Index begin, Index end) {
    ChunkValues chunk;
    auto& values = chunk.values[measure.name];
    for (Index at = begin; at < end; at += job.batch) {
      const Index stop = std::min(end, at + job.batch);
      if (job.stop.stop_requested()) throw Cancelled(evaluate_speaker, "a stop was requested");
      ChunkValues seen_a, seen_b;
      const auto pictures_a = read_pictures(a, at, stop, threads, seen_a);
      const auto pictures_b = read_pictures(b, at, stop, threads, seen_b);
      for (const auto* seen : {&seen_a, &seen_b})
        chunk.unreadable.insert(chunk.unreadable.end(), seen->unreadable.begin(), seen->unreadable.end());
      std::vector<std::pair<std::size_t, std::size_t>> pairs;
      for (std::size_t i = 0; i < seen_a.items.size(); ++i) {
        const auto place = std::lower_bound(seen_b.items.begin(), seen_b.items.end(), seen_a.items[i]);
        if (place == seen_b.items.end() || *place != seen_a.items[i]) continue;
        pairs.emplace_back(i, static_cast<std::size_t>(place - seen_b.items.begin()));
        chunk.items.push_back(seen_a.items[i]);
      }
      std::vector<double> found(pairs.size());
      const auto one = [&](std::size_t i) {
        const Index item = seen_a.items[pairs[i].first];
        try {
          found[i] = measure.measure(pictures_a[pairs[i].first], pictures_b[pairs[i].second]);
        } catch (const ArgumentError& error) {
          throw ArgumentError(evaluate_speaker, measure.name + " of " + a.name(item) + " and " +
                                                    b.name(item) + ": " + error.message());
        }
      };
      const auto some = [&](Index from, Index to) {
        for (Index i = from; i < to; ++i) one(static_cast<std::size_t>(i));
      };
      if (measure.is_parallel)
        some(0, static_cast<Index>(pairs.size()));
      else
        parallel_for(threads, static_cast<Index>(pairs.size()), 1, some);
      values.insert(values.end(), found.begin(), found.end());
    }
    return chunk;
  };
  Report report;
  const auto results = run_chunks(to_text(settings), a.size(), work, job);
  list_unreadable(report, results, "");
  if (results.count() == 0)
    throw ArgumentError(evaluate_speaker, "there is no pair of which both pictures can be read");
  report.figures.push_back(mean_figure(measure.name, results.values(measure.name),
                                       measure.definition + "; " + counted(results.count(), "pair")));
  return report;
}

}  // namespace daguerre::evaluation
