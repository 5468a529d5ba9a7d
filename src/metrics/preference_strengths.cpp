#include "daguerre/metrics/preference_strengths.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include <Eigen/Cholesky>

#include "daguerre/metrics/mean_interval.hpp"
#include "metrics/distributions.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* preference_name = "preferences";
using Outcome = Preference::Outcome;

/// How often each outcome of a pair, first < second, was seen.
using PairCounts = std::map<std::pair<Index, Index>, std::array<double, 3>>;

std::size_t outcome_of(const Preference& preference) {
  const auto outcome = static_cast<std::size_t>(preference.outcome);
  return preference.first < preference.second || preference.outcome == Outcome::tie ? outcome : 1 - outcome;
}

PairCounts count_pairs(std::span<const std::string> names, std::span<const Preference> preferences) {
  PairCounts result;
  const auto count = static_cast<Index>(names.size());
  for (const auto& one : preferences) {
    if (std::min(one.first, one.second) < 0 || std::max(one.first, one.second) >= count)
      throw ArgumentError(preference_name, "a judgement is of number " +
                                               std::to_string(std::max(one.first, one.second)) + " of " +
                                               std::to_string(count) + " names");
    if (one.first == one.second)
      throw ArgumentError(preference_name,
                          "\"" + names[static_cast<std::size_t>(one.first)] + "\" is compared with itself");
    ++result[std::minmax(one.first, one.second)][outcome_of(one)];
  }
  return result;
}

std::string listed(std::span<const std::string> names, const std::vector<bool>& chosen, bool which) {
  std::string text;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (chosen[i] == which && ++shown <= 5) text += (shown > 1 ? ", " : "") + names[i];
  return shown > 5 ? text + " and " + std::to_string(shown - 5) + " more" : text;
}

/// Who can be reached from `start` by steps from one to another for which `step` holds.
template <class Step>
std::vector<bool> reached(std::size_t count, std::size_t start, Step step) {
  std::vector<bool> seen(count);
  std::vector<std::size_t> waiting{start};
  seen[start] = true;
  while (!waiting.empty()) {
    const auto from = waiting.back();
    waiting.pop_back();
    for (std::size_t to = 0; to < count; ++to) {
      if (seen[to] || !step(from, to)) continue;
      seen[to] = true;
      waiting.push_back(to);
    }
  }
  return seen;
}

/// Throws where the graph of who beat whom says already that there are no finite strengths.
void require_connected(std::span<const std::string> names, const PairCounts& pairs) {
  const auto count = names.size();
  std::vector<std::vector<bool>> beats(count, std::vector<bool>(count)), met = beats;
  bool decided = false;
  for (const auto& [pair, seen] : pairs) {
    const auto i = static_cast<std::size_t>(pair.first), j = static_cast<std::size_t>(pair.second);
    met[i][j] = met[j][i] = true;
    if (seen[0] + seen[2] > 0) beats[i][j] = true;
    if (seen[1] + seen[2] > 0) beats[j][i] = true;
    decided = decided || seen[0] + seen[1] > 0;
  }
  const auto together = reached(count, 0, [&](std::size_t a, std::size_t b) { return met[a][b]; });
  if (std::ranges::count(together, false) > 0)
    throw ArgumentError(preference_name, "nobody compared " + listed(names, together, true) + " with " +
                                             listed(names, together, false) +
                                             ", so that their strengths cannot be compared");
  if (!decided)
    throw ArgumentError(preference_name, "every judgement is a tie, which says nothing of strengths");
  // The best are those that nobody outside beats: whoever reaches all others by wins has the fewest in reach
  // backwards.
  for (std::size_t i = 0; i < count; ++i) {
    const auto above = reached(count, i, [&](std::size_t a, std::size_t b) { return beats[b][a]; });
    if (std::ranges::count(above, false) > 0)
      throw ArgumentError(preference_name, listed(names, above, true) + " never lost to " +
                                               listed(names, above, false) +
                                               ", so that there is no finite strength; more judgements are "
                                               "needed");
  }
}

/// The likelihood of Davidson's model, its parameters being the strengths and, where there are ties, log(nu).
class Likelihood {
 public:
  Likelihood(Index count, const PairCounts& pairs) : count_(count), pairs_(pairs) {
    for (const auto& [pair, seen] : pairs) ties_ = ties_ || seen[2] > 0;
  }

  bool ties() const { return ties_; }
  Index size() const { return count_ + (ties_ ? 1 : 0); }

  /// Probabilities of the three outcomes of i and j.
  std::array<double, 3> probabilities(const Eigen::VectorXd& at, Index i, Index j) const {
    auto result = exponents(at, i, j);
    const double most = *std::ranges::max_element(result);
    double sum = 0.0;
    for (double& one : result) sum += one = std::exp(one - most);
    if (!ties_) sum -= std::exchange(result[2], 0.0);
    for (double& one : result) one /= sum;
    return result;
  }

  double value(const Eigen::VectorXd& at) const {
    double sum = 0.0;
    for (const auto& [pair, seen] : pairs_) {
      const auto p = probabilities(at, pair.first, pair.second);
      for (std::size_t k = 0; k < 3; ++k)
        if (seen[k] > 0) sum += seen[k] * std::log(p[k]);
    }
    return sum;
  }

  /// What an outcome's logarithm adds to the gradient at (i, j, log(nu)).
  static std::array<double, 3> slopes(std::size_t outcome) {
    return outcome == 0   ? std::array{1.0, 0.0, 0.0}
           : outcome == 1 ? std::array{0.0, 1.0, 0.0}
                          : std::array{0.5, 0.5, 1.0};
  }
  /// Their mean under the model.
  static std::array<double, 3> mean_slopes(const std::array<double, 3>& p) {
    return {p[0] + 0.5 * p[2], p[1] + 0.5 * p[2], p[2]};
  }
  std::array<Index, 3> places(Index i, Index j) const { return {i, j, count_}; }

  void derivatives(const Eigen::VectorXd& at, Eigen::VectorXd& gradient, Eigen::MatrixXd& information) const {
    gradient.setZero(size());
    information.setZero(size(), size());
    const std::size_t used = ties_ ? 3 : 2;
    for (const auto& [pair, seen] : pairs_) {
      const auto p = probabilities(at, pair.first, pair.second);
      const auto mean = mean_slopes(p);
      const auto place = places(pair.first, pair.second);
      const double total = seen[0] + seen[1] + seen[2];
      for (std::size_t k = 0; k < 3; ++k) {
        const auto slope = slopes(k);
        for (std::size_t a = 0; a < used; ++a) {
          gradient[place[a]] += seen[k] * (slope[a] - mean[a]);
          for (std::size_t b = 0; b < used; ++b)
            information(place[a], place[b]) += total * p[k] * (slope[a] - mean[a]) * (slope[b] - mean[b]);
        }
      }
    }
  }

 private:
  std::array<double, 3> exponents(const Eigen::VectorXd& at, Index i, Index j) const {
    return {at[i], at[j], ties_ ? at[count_] + 0.5 * (at[i] + at[j]) : -1e300};
  }

  Index count_;
  const PairCounts& pairs_;
  bool ties_ = false;
};

/// The information with the strengths' sum, on which nothing depends, held fixed: positive definite.
Eigen::MatrixXd held(Eigen::MatrixXd information, Index count) {
  const double weight = information.topLeftCorner(count, count).trace() / static_cast<double>(count * count);
  information.topLeftCorner(count, count).array() += weight;
  return information;
}

/// The sum over clusters of the square of their gradient.
Eigen::MatrixXd cluster_scatter(const Likelihood& likelihood, const Eigen::VectorXd& at,
                                std::span<const Preference> preferences, Index& clusters) {
  std::vector<std::size_t> order(preferences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return preferences[i].cluster; });
  Eigen::MatrixXd scatter = Eigen::MatrixXd::Zero(likelihood.size(), likelihood.size());
  const std::size_t used = likelihood.ties() ? 3 : 2;
  clusters = 0;
  for (std::size_t begin = 0; begin < order.size(); ++clusters) {
    std::map<Index, double> gradient;
    std::size_t end = begin;
    for (; end < order.size() && preferences[order[end]].cluster == preferences[order[begin]].cluster;
         ++end) {
      const auto& one = preferences[order[end]];
      const auto [i, j] = std::minmax(one.first, one.second);
      const auto mean = Likelihood::mean_slopes(likelihood.probabilities(at, i, j));
      const auto slope = Likelihood::slopes(outcome_of(one));
      const auto place = likelihood.places(i, j);
      for (std::size_t a = 0; a < used; ++a) gradient[place[a]] += slope[a] - mean[a];
    }
    for (const auto& [a, x] : gradient)
      for (const auto& [b, y] : gradient) scatter(a, b) += x * y;
    begin = end;
  }
  return scatter;
}

}  // namespace

Interval PreferenceStrengths::strength(std::size_t i) const {
  const auto place = static_cast<Index>(i), count = static_cast<Index>(strengths.size());
  const double half = quantile * std::sqrt(std::max(0.0, covariance.data()[place * count + place]));
  return {strengths[i], strengths[i] - half, strengths[i] + half};
}

Interval PreferenceStrengths::preferred(std::size_t i, std::size_t j) const {
  const auto count = strengths.size();
  const auto at = [&](std::size_t a, std::size_t b) { return covariance.data()[a * count + b]; };
  const double half = quantile * std::sqrt(std::max(0.0, at(i, i) + at(j, j) - 2.0 * at(i, j)));
  const auto share = [](double odds) { return 1.0 / (1.0 + std::exp(-odds)); };
  const double between = strengths[i] - strengths[j];
  return {share(between), share(between - half), share(between + half)};
}

PreferenceStrengths fit_preferences(std::span<const std::string> names,
                                    std::span<const Preference> preferences, PreferenceErrors errors) {
  constexpr std::size_t most_names = 1000;
  if (names.size() < 2 || names.size() > most_names || preferences.empty())
    throw ArgumentError(preference_name, std::to_string(preferences.size()) + " judgements of " +
                                             std::to_string(names.size()) +
                                             " names, expected some of 2 to 1000 names");
  const auto count = static_cast<Index>(names.size());
  const auto pairs = count_pairs(names, preferences);
  require_connected(names, pairs);

  const Likelihood likelihood(count, pairs);
  Eigen::VectorXd at = Eigen::VectorXd::Zero(likelihood.size()), gradient;
  Eigen::MatrixXd information;
  double value = likelihood.value(at);
  bool converged = false;
  for (int round = 0; round < 200 && !converged; ++round) {
    likelihood.derivatives(at, gradient, information);
    const Eigen::LLT<Eigen::MatrixXd> factor(held(information, count));
    if (factor.info() != Eigen::Success) break;
    Eigen::VectorXd step = factor.solve(gradient);
    converged = gradient.dot(step) < 1e-18 * static_cast<double>(preferences.size());
    // Concave: a step that is too long is halved until it leads upwards.
    double next = likelihood.value(at + step);
    for (int halving = 0; !(next >= value - 1e-12 * std::abs(value)) && halving < 60; ++halving)
      next = likelihood.value(at + (step *= 0.5));
    at += step;
    value = next;
  }
  likelihood.derivatives(at, gradient, information);
  const Eigen::LLT<Eigen::MatrixXd> factor(held(information, count));
  // Where ties alone hold strengths together they may still run away, and nu with them: the likelihood then
  // becomes flat.
  if (!converged || factor.info() != Eigen::Success || factor.rcond() < 1e-9 || at.cwiseAbs().maxCoeff() > 50)
    throw ArgumentError(preference_name,
                        "some names never lost to the others, but for ties, so that there are no finite "
                        "strengths; more judgements are needed");

  Eigen::MatrixXd covariance = factor.solve(Eigen::MatrixXd::Identity(likelihood.size(), likelihood.size()));
  PreferenceStrengths result;
  result.quantile = normal_975;
  if (errors == PreferenceErrors::clusters) {
    Index clusters = 0;
    const auto scatter = cluster_scatter(likelihood, at, preferences, clusters);
    if (clusters < 2)
      throw ArgumentError(preference_name, "intervals over clusters need at least two of them");
    const auto groups = static_cast<double>(clusters);
    covariance = (covariance * scatter * covariance * (groups / (groups - 1.0))).eval();
    result.quantile = student_t_975(clusters - 1);
  }
  // Of strengths from which their mean is taken.
  const Eigen::MatrixXd centre = Eigen::MatrixXd::Identity(count, count) -
                                 Eigen::MatrixXd::Constant(count, count, 1.0 / static_cast<double>(count));
  const Eigen::MatrixXd centred = centre * covariance.topLeftCorner(count, count) * centre;
  result.covariance = Tensor<double>({count, count});
  for (Index i = 0; i < count; ++i)
    for (Index j = 0; j < count; ++j) result.covariance.data()[i * count + j] = centred(i, j);
  const double mean = at.head(count).mean();
  for (Index i = 0; i < count; ++i) result.strengths.push_back(at[i] - mean);
  if (likelihood.ties()) result.nu = std::exp(at[count]);  // sqrt(p_i p_j) scales as p_i does
  return result;
}

}  // namespace daguerre::metrics
