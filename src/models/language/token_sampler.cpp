#include "daguerre/models/language/token_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "daguerre/core/error.hpp"

namespace daguerre::models {
namespace {

constexpr const char* sampler_name = "token_sampler";
constexpr float removed = -std::numeric_limits<float>::infinity();

void check_range(const char* name, double value, bool fits, const char* expected) {
  if (!fits)
    throw ArgumentError(sampler_name,
                        std::string(name) + " is " + std::to_string(value) + ", expected " + expected);
}

/// exp(score - largest) of every score, and their sum.
std::pair<std::vector<float>, double> exponentials(std::span<const float> scores) {
  const float largest = *std::max_element(scores.begin(), scores.end());
  std::vector<float> result(scores.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    result[i] = std::exp(scores[i] - largest);
    sum += static_cast<double>(result[i]);
  }
  return {std::move(result), sum};
}

std::vector<float> softmax_of(std::span<const float> scores) {
  auto [values, sum] = exponentials(scores);
  for (float& value : values) value = static_cast<float>(static_cast<double>(value) / sum);
  return std::move(values);
}

/// Ids of what is left, to be taken one after another in an order: a heap, because most of a large vocabulary
/// is never reached.
template <class Behind>
class Queue {
 public:
  Queue(std::span<const float> scores, Behind behind) : behind_(std::move(behind)) {
    for (std::size_t i = 0; i < scores.size(); ++i)
      if (scores[i] != removed) ids_.push_back(i);
    std::make_heap(ids_.begin(), ids_.end(), behind_);
  }
  bool empty() const noexcept { return ids_.empty(); }
  std::size_t take() {
    std::pop_heap(ids_.begin(), ids_.end(), behind_);
    const auto id = ids_.back();
    ids_.pop_back();
    return id;
  }
  const std::vector<std::size_t>& rest() const noexcept { return ids_; }

 private:
  Behind behind_;
  std::vector<std::size_t> ids_;
};

void keep_top_k(std::span<float> scores, std::size_t k) {
  if (k >= scores.size()) return;
  std::vector<float> sorted(scores.begin(), scores.end());
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k - 1), sorted.end(),
                   std::greater<>());
  const float last = sorted[k - 1];
  for (float& score : scores)
    if (score < last) score = removed;
}

void keep_top_p(std::span<float> scores, double p) {
  const auto probabilities = softmax_of(scores);
  // The reference adds up from the small end and removes while the sum is at most 1 - p; from the large end
  // it is what the larger ones leave.
  double left = 0.0;
  for (const float probability : probabilities) left += static_cast<double>(probability);
  Queue queue(scores, [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : a < b;
  });
  const auto bound = static_cast<float>(1.0 - p);
  for (bool first = true; !queue.empty(); first = false) {
    const auto id = queue.take();
    if (!first && static_cast<float>(left) <= bound) {
      scores[id] = removed;
      break;
    }
    left -= static_cast<double>(probabilities[id]);
  }
  for (const auto id : queue.rest()) scores[id] = removed;
}

void keep_min_p(std::span<float> scores, double p) {
  const auto probabilities = softmax_of(scores);
  const float least = static_cast<float>(p) * *std::max_element(probabilities.begin(), probabilities.end());
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (probabilities[i] < least) scores[i] = removed;
}

void keep_typical(std::span<float> scores, double mass) {
  const auto [values, sum] = exponentials(scores);
  const float largest = *std::max_element(scores.begin(), scores.end());
  const auto log_sum = static_cast<float>(std::log(sum));
  std::vector<float> surprise(scores.size());
  double entropy = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] == removed) continue;
    surprise[i] = -(scores[i] - largest - log_sum);
    entropy += static_cast<double>(surprise[i]) * static_cast<double>(std::exp(-surprise[i]));
  }
  for (float& value : surprise) value = std::abs(value - static_cast<float>(entropy));
  Queue queue(scores, [&](std::size_t a, std::size_t b) {
    return surprise[a] != surprise[b] ? surprise[a] > surprise[b] : a > b;
  });
  const auto bound = static_cast<float>(mass);
  float furthest = 0.0f;
  double taken = 0.0;
  while (!queue.empty()) {
    const auto id = queue.take();
    furthest = surprise[id];
    taken += static_cast<double>(static_cast<float>(static_cast<double>(values[id]) / sum));
    if (static_cast<float>(taken) >= bound) break;
  }
  for (const auto id : queue.rest())  // those at the same distance as the last one stay
    if (surprise[id] > furthest) scores[id] = removed;
}

}  // namespace

TokenSampler::TokenSampler(TokenSamplerOptions options) : options_(std::move(options)) {
  const auto& o = options_;
  check_range("repetition_penalty", o.repetition_penalty,
              o.repetition_penalty > 0.0 && std::isfinite(o.repetition_penalty), "a number above 0");
  check_range("no_repeat_ngram_size", o.no_repeat_ngram_size, o.no_repeat_ngram_size >= 0, "0 or more");
  check_range("temperature", o.temperature, o.temperature > 0.0 && std::isfinite(o.temperature),
              "a number above 0 (greedy takes the likeliest token)");
  check_range("top_k", o.top_k, o.top_k >= 0, "0 or more");
  check_range("top_p", o.top_p, o.top_p >= 0.0 && o.top_p <= 1.0, "0 to 1");
  check_range("min_p", o.min_p, o.min_p >= 0.0 && o.min_p <= 1.0, "0 to 1");
  check_range("typical_p", o.typical_p, o.typical_p > 0.0 && o.typical_p <= 1.0, "above 0, up to 1");
  for (const auto& word : o.bad_words)
    if (word.empty()) throw ArgumentError(sampler_name, "an entry of bad_words has no tokens");
}

void TokenSampler::forbid_repeated_ngrams(std::span<float> logits, std::span<const std::int32_t> ids) const {
  const auto size = static_cast<std::size_t>(options_.no_repeat_ngram_size);
  if (ids.size() < size) return;
  const auto begin = ids.last(size - 1);  // of the run that the next token would complete
  for (std::size_t i = 0; i + size <= ids.size(); ++i)
    if (std::equal(begin.begin(), begin.end(), ids.begin() + static_cast<std::ptrdiff_t>(i)))
      logits[static_cast<std::size_t>(ids[i + size - 1])] = removed;
}

void TokenSampler::forbid_bad_words(std::span<float> logits, std::span<const std::int32_t> ids) const {
  const auto& ends = options_.end_tokens;
  for (const auto& word : options_.bad_words) {
    for (const auto id : word)
      if (id < 0 || static_cast<std::size_t>(id) >= logits.size())
        throw ArgumentError(sampler_name, "bad_words has token " + std::to_string(id) +
                                              ", the vocabulary has " + std::to_string(logits.size()));
    if (word.size() == 1 && std::find(ends.begin(), ends.end(), word[0]) != ends.end()) continue;
    if (word.size() > 1 && word.size() > ids.size()) continue;
    if (std::equal(word.begin(), word.end() - 1, ids.end() - static_cast<std::ptrdiff_t>(word.size() - 1)))
      logits[static_cast<std::size_t>(word.back())] = removed;
  }
}

void TokenSampler::process(std::span<float> logits, std::span<const std::int32_t> ids) const {
  if (logits.empty()) throw ArgumentError(sampler_name, "there are no logits");
  for (const auto id : ids)
    if (id < 0 || static_cast<std::size_t>(id) >= logits.size())
      throw ArgumentError(sampler_name, "the text so far has token " + std::to_string(id) +
                                            ", the vocabulary has " + std::to_string(logits.size()));
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (!(logits[i] < std::numeric_limits<float>::infinity()))
      throw NumericError(sampler_name, "the logit of token " + std::to_string(i) + " is " +
                                           (std::isnan(logits[i]) ? "NaN" : "infinity"));
  const auto& o = options_;
  if (o.repetition_penalty != 1.0) {
    std::vector<std::int32_t> seen(ids.begin(), ids.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    const auto penalty = static_cast<float>(o.repetition_penalty);
    for (const auto id : seen) {
      float& logit = logits[static_cast<std::size_t>(id)];
      logit = logit < 0.0f ? logit * penalty : logit / penalty;
    }
  }
  if (o.no_repeat_ngram_size > 0) forbid_repeated_ngrams(logits, ids);
  forbid_bad_words(logits, ids);
  if (std::all_of(logits.begin(), logits.end(), [](float logit) { return logit == removed; }))
    throw ArgumentError(sampler_name, "no token is left that may be made");
  if (o.greedy) return;
  if (o.temperature != 1.0) {
    // A temperature near 0 would take logits beyond float32: of differences from the largest only those
    // that do not matter are lost.
    const float largest = *std::max_element(logits.begin(), logits.end());
    const auto temperature = static_cast<float>(o.temperature);
    const bool fits = std::isfinite(largest / temperature);
    for (float& logit : logits) logit = (fits ? logit : logit - largest) / temperature;
  }
  if (o.top_k > 0) keep_top_k(logits, static_cast<std::size_t>(o.top_k));
  if (o.top_p < 1.0) keep_top_p(logits, o.top_p);
  if (o.min_p > 0.0) keep_min_p(logits, o.min_p);
  if (o.typical_p < 1.0) keep_typical(logits, o.typical_p);
}

std::int32_t TokenSampler::next(std::span<float> logits, std::span<const std::int32_t> ids,
                                double uniform) const {
  process(logits, ids);
  return options_.greedy ? likeliest_token(logits) : draw_token(logits, uniform);
}

std::int32_t likeliest_token(std::span<const float> scores) {
  if (scores.empty()) throw ArgumentError(sampler_name, "there are no scores");
  return static_cast<std::int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

std::int32_t draw_token(std::span<const float> scores, double uniform) {
  if (scores.empty()) throw ArgumentError(sampler_name, "there are no scores");
  check_range("the uniform number", uniform, uniform >= 0.0 && uniform < 1.0, "0 to less than 1");
  const auto probabilities = softmax_of(scores);
  double sum = 0.0;
  std::size_t last = 0;  // rounding may leave the sum a little below 1
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] == 0.0f) continue;
    last = i;
    sum += static_cast<double>(probabilities[i]);
    if (sum > uniform) break;
  }
  return static_cast<std::int32_t>(last);
}

}  // namespace daguerre::models
