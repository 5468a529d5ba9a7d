#include "daguerre/metrics/paired.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/metrics/agreement.hpp"
#include "daguerre/metrics/mean_interval.hpp"
#include "daguerre/metrics/preference_strengths.hpp"
#include "metrics/distributions.hpp"
#include "support/catch.hpp"

namespace daguerre::metrics {
namespace {

using Outcome = Preference::Outcome;

// Expected values are scipy's (stats.t, stats.binomtest, optimize.minimize).

void add(std::vector<Preference>& all, Index i, Index j, int wins, int losses, int ties = 0) {
  for (int k = 0; k < wins; ++k) all.push_back({i, j, Outcome::first, static_cast<Index>(all.size())});
  for (int k = 0; k < losses; ++k) all.push_back({j, i, Outcome::first, static_cast<Index>(all.size())});
  for (int k = 0; k < ties; ++k) all.push_back({i, j, Outcome::tie, static_cast<Index>(all.size())});
}

double error_of(const PreferenceStrengths& fit, std::size_t i) {
  const auto interval = fit.strength(i);
  return (interval.high - interval.low) / 2 / fit.quantile;
}

std::string refusal(const std::vector<std::string>& names, const std::vector<Preference>& all,
                    PreferenceErrors errors = PreferenceErrors::information) {
  try {
    (void)fit_preferences(names, all, errors);
  } catch (const ArgumentError& error) {
    return error.message();
  }
  return {};
}

TEST_CASE("Fair coins are right", "[paired]") {
  CHECK(fair_coin_probability(5, 2) == Approx(0.453125).epsilon(1e-12));
  CHECK(fair_coin_probability(40, 60) == Approx(0.05688793364098088).epsilon(1e-9));
  CHECK(fair_coin_probability(5100, 4900) == Approx(0.046585527704947234).epsilon(1e-9));
  CHECK(fair_coin_probability(0, 0) == 1.0);
}

TEST_CASE("Pairs are compared by mean, bootstrap, wins and sign test", "[paired]") {
  const std::vector<double> a{0.31, 0.28, 0.35, 0.30, 0.33, 0.29, 0.36, 0.31};
  const std::vector<double> b{0.30, 0.29, 0.31, 0.30, 0.29, 0.30, 0.33, 0.28};
  const auto found = compare_paired(a, b);
  CHECK(found.count == 8);
  CHECK(found.difference.value == Approx(0.01625));
  CHECK(found.difference.low == Approx(-0.001589933144185974).epsilon(1e-8));
  CHECK(found.difference.high == Approx(0.03408993314418597).epsilon(1e-8));
  CHECK(found.wins == 5);
  CHECK(found.losses == 2);
  CHECK(found.ties == 1);
  CHECK(found.win_rate.value == Approx(5.5 / 8));
  CHECK(found.win_rate.low == Approx(0.35575516038463106));
  CHECK(found.win_rate.high == Approx(0.8975920027839138));
  CHECK(found.sign_test == Approx(0.453125));
  // The bootstrap knows of no tails beyond the sample, and is narrower.
  CHECK(found.bootstrap.low > found.difference.low);
  CHECK(found.bootstrap.high < found.difference.high);
  CHECK(found.bootstrap.low == Approx(0.01625 - 1.96 * 0.0070575).margin(0.0015));
  const auto again = compare_paired(a, b);
  CHECK(found.bootstrap.low == again.bootstrap.low);
  PairedOptions other;
  other.seed = 1;
  CHECK(compare_paired(a, b, other).bootstrap.low != found.bootstrap.low);

  const auto one = compare_paired(std::vector<double>{1.0}, std::vector<double>{0.0});
  CHECK(one.difference.low == -std::numeric_limits<double>::infinity());
  CHECK_THROWS_AS(compare_paired(a, std::vector<double>{1.0}), ArgumentError);
  CHECK_THROWS_AS(compare_paired(std::vector<double>{}, std::vector<double>{}), ArgumentError);
  CHECK_THROWS_AS(compare_paired(std::vector<double>{NAN}, std::vector<double>{1.0}), NumericError);
  CHECK_THROWS_AS(share_interval(3, 2), ArgumentError);
}

TEST_CASE("Of two models the strengths' difference is the log odds, ties or not", "[paired]") {
  const std::vector<std::string> names{"a", "b"};
  for (const int ties : {0, 17}) {
    std::vector<Preference> all;
    add(all, 0, 1, 30, 12, ties);
    const auto fit = fit_preferences(names, all);
    CHECK(fit.strengths[0] - fit.strengths[1] == Approx(std::log(30.0 / 12.0)));
    CHECK(fit.strengths[0] + fit.strengths[1] == Approx(0.0).margin(1e-12));
    const double error = std::sqrt(1.0 / 30 + 1.0 / 12);
    CHECK(error_of(fit, 0) == Approx(error / 2));
    const auto preferred = fit.preferred(0, 1);
    CHECK(preferred.value == Approx(30.0 / 42));
    CHECK(std::log(preferred.high / (1 - preferred.high)) ==
          Approx(std::log(2.5) + 1.959963984540054 * error));
    // Clusters of one judgement each: the same but for G / (G - 1) and Student's t.
    const auto robust = fit_preferences(names, all, PreferenceErrors::clusters);
    const double groups = 42 + ties;
    CHECK(error_of(robust, 0) == Approx(error / 2 * std::sqrt(groups / (groups - 1))));
    CHECK(robust.quantile == Approx(student_t_975(41 + ties)));
    if (ties > 0) CHECK(fit.nu == Approx(17.0 / std::sqrt(30.0 * 12.0)));
  }
}

TEST_CASE("The baseball example of the literature comes out", "[paired]") {
  // Wins of row over column in the American League East of 1987 (Agresti, Categorical Data Analysis, 1990,
  // table 10.10), with strengths and errors against Baltimore as BradleyTerry2's manual has them.
  const std::vector<std::string> names{"Milwaukee", "Detroit",   "Toronto",  "New York",
                                       "Boston",    "Cleveland", "Baltimore"};
  const int wins[7][7] = {{0, 7, 9, 7, 7, 9, 11}, {6, 0, 7, 5, 11, 9, 9}, {4, 6, 0, 7, 7, 8, 12},
                          {6, 8, 6, 0, 6, 7, 10}, {6, 2, 6, 7, 0, 7, 12}, {4, 4, 5, 6, 6, 0, 6},
                          {2, 4, 1, 3, 1, 7, 0}};
  std::vector<Preference> all;
  for (Index i = 0; i < 7; ++i)
    for (Index j = i + 1; j < 7; ++j) add(all, i, j, wins[i][j], wins[j][i]);
  const auto fit = fit_preferences(names, all);
  const std::array strengths{1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839};
  const std::array errors{0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319};
  const auto& c = fit.covariance;
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(fit.strengths[i] - fit.strengths[6] == Approx(strengths[i]).margin(6e-5));
    const auto at = [&](std::size_t a, std::size_t b) { return c.data()[a * 7 + b]; };
    CHECK(std::sqrt(at(i, i) + at(6, 6) - 2 * at(i, 6)) == Approx(errors[i]).margin(6e-5));
  }
}

TEST_CASE("Davidson's ties are fitted as scipy fits them", "[paired]") {
  std::vector<Preference> all;
  add(all, 0, 1, 12, 5, 6);
  add(all, 0, 2, 14, 3, 4);
  add(all, 1, 2, 9, 7, 8);
  const auto fit = fit_preferences(std::vector<std::string>{"a", "b", "c"}, all);
  CHECK(fit.strengths[0] == Approx(0.831000775902145).epsilon(1e-6));
  CHECK(fit.strengths[1] == Approx(-0.22593603134321058).epsilon(1e-6));
  CHECK(fit.strengths[2] == Approx(-0.6050647445589344).epsilon(1e-6));
  CHECK(fit.nu == Approx(0.8143831004917579).epsilon(1e-6));
  CHECK(error_of(fit, 0) == Approx(0.2739932042927316).epsilon(1e-4));
  CHECK(error_of(fit, 1) == Approx(0.24158733437213206).epsilon(1e-4));
  CHECK(error_of(fit, 2) == Approx(0.25823983971575565).epsilon(1e-4));
}

TEST_CASE("Simulated judgements give the strengths back, and intervals hold them", "[paired]") {
  const std::vector<std::string> names{"a", "b", "c", "d"};
  const std::array<double, 4> truth{0.9, 0.2, -0.3, -0.8};
  constexpr double nu = 0.6;
  std::mt19937 generator(7);
  std::size_t held = 0, asked = 0;
  for (int run = 0; run < 60; ++run) {
    std::vector<Preference> all;
    for (int k = 0; k < 240; ++k) {
      const Index i = static_cast<Index>(generator() % 4);
      const Index j = (i + 1 + static_cast<Index>(generator() % 3)) % 4;
      const double p = std::exp(truth[static_cast<std::size_t>(i)]);
      const double q = std::exp(truth[static_cast<std::size_t>(j)]);
      const double tie = nu * std::sqrt(p * q), at = generator() / 4294967296.0 * (p + q + tie);
      all.push_back({i, j, at < p ? Outcome::first : at < p + q ? Outcome::second : Outcome::tie, k / 2});
    }
    for (const auto errors : {PreferenceErrors::information, PreferenceErrors::clusters}) {
      const auto fit = fit_preferences(names, all, errors);
      for (std::size_t i = 0; i < 4; ++i, ++asked) {
        const auto interval = fit.strength(i);
        held += interval.low <= truth[i] && truth[i] <= interval.high ? 1 : 0;
        CHECK(interval.value == Approx(truth[i]).margin(0.6));
      }
    }
  }
  // 480 intervals of 95 %; runs are 60, so the share's error is about 0.02.
  CHECK(static_cast<double>(held) / static_cast<double>(asked) == Approx(0.95).margin(0.04));
}

TEST_CASE("Judgements that repeat each other widen intervals over clusters", "[paired]") {
  const std::vector<std::string> names{"a", "b"};
  std::vector<Preference> all;
  add(all, 0, 1, 30, 12);
  auto tripled = all;
  for (int k = 0; k < 2; ++k) tripled.insert(tripled.end(), all.begin(), all.end());
  const auto once = fit_preferences(names, all, PreferenceErrors::clusters);
  const auto thrice = fit_preferences(names, tripled, PreferenceErrors::clusters);
  CHECK(error_of(thrice, 0) == Approx(error_of(once, 0)));
  CHECK(error_of(fit_preferences(names, tripled), 0) ==
        Approx(error_of(fit_preferences(names, all), 0) / std::sqrt(3.0)));
}

TEST_CASE("Strengths that judgements do not determine are refused by name", "[paired]") {
  const std::vector<std::string> names{"a", "b", "c", "d"};
  std::vector<Preference> all;
  add(all, 0, 1, 3, 2);
  add(all, 2, 3, 1, 4);
  CHECK(refusal(names, all) == "nobody compared a, b with c, d, so that their strengths cannot be compared");
  add(all, 1, 2, 5, 0);
  CHECK(refusal(names, all).find("a, b never lost to c, d") == 0);
  add(all, 1, 2, 0, 1);
  CHECK(refusal(names, all).empty());

  const std::vector<std::string> two{"a", "b"};
  all.clear();
  add(all, 0, 1, 0, 0, 5);
  CHECK(refusal(two, all).find("every judgement is a tie") == 0);
  add(all, 0, 1, 4, 0);  // ties alone do not hold a winner back
  CHECK(refusal(two, all).find("never lost to the others, but for ties") != std::string::npos);
  CHECK(refusal(two, {}).find("0 judgements of 2 names") == 0);
  CHECK(refusal(two, {{0, 0, Outcome::tie, 0}}).find("\"a\" is compared with itself") == 0);
  CHECK(refusal(two, {{0, 2, Outcome::tie, 0}}).find("number 2 of 2") != std::string::npos);
  CHECK(refusal(two, {{0, 1, Outcome::first, 5}, {0, 1, Outcome::second, 5}}, PreferenceErrors::clusters)
            .find("at least two") != std::string::npos);
  // Others' ties and wins can determine what one's own wins do not.
  all.clear();
  add(all, 0, 1, 10, 10, 10);
  std::vector<std::string> three{"a", "b", "c"};
  add(all, 2, 0, 5, 0, 10);
  const auto fit = fit_preferences(three, all);
  CHECK(fit.strengths[2] > fit.strengths[0]);
  CHECK(fit.strengths[2] < 5.0);
}

TEST_CASE("Krippendorff's alpha is that of his own example", "[paired]") {
  // Four observers, twelve units, values missing: nominal alpha is 0.743 (Computing Krippendorff's
  // Alpha-Reliability, 2011, part C).
  const int o = 0;
  const int ratings[4][12] = {{1, 2, 3, 3, 2, 1, 4, 1, 2, o, o, o},
                              {1, 2, 3, 3, 2, 2, 4, 1, 2, 5, o, 3},
                              {o, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, o},
                              {1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, o}};
  std::vector<std::vector<int>> units(12);
  for (const auto& observer : ratings)
    for (std::size_t u = 0; u < 12; ++u)
      if (observer[u] != o) units[u].push_back(observer[u]);
  const auto found = krippendorff_alpha(units);
  CHECK(found.alpha.value == Approx(0.743).margin(5e-4));
  CHECK(found.units == 11);
  CHECK(found.ratings == 40);
  CHECK(found.alpha.low < 0.743);
  CHECK(found.alpha.low > 0.3);
  CHECK(found.alpha.high <= 1.0);
  CHECK(krippendorff_alpha(std::vector<std::vector<int>>{{1, 1}, {2, 2}}).alpha.value == 1.0);
  CHECK(std::isnan(krippendorff_alpha(std::vector<std::vector<int>>{{1, 1}, {1, 1}}).alpha.value));
  CHECK_THROWS_AS(krippendorff_alpha(std::vector<std::vector<int>>{{1}, {2}}), ArgumentError);
}

}  // namespace
}  // namespace daguerre::metrics
