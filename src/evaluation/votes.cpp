#include "daguerre/evaluation/votes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <set>
#include <tuple>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* votes_name = "votes";
constexpr std::array<std::pair<const char*, VoteErrors>, 4> vote_error_names{
    {{"auto", VoteErrors::automatic},
     {"votes", VoteErrors::votes},
     {"items", VoteErrors::items},
     {"raters", VoteErrors::raters}}};

/// Numbers of texts in the order in which they first come.
class TextNumbers {
 public:
  Index of(const std::string& text) {
    const auto [place, is_new] = numbers_.emplace(text, static_cast<Index>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return place->second;
  }
  const std::vector<std::string>& texts() const { return texts_; }
  Index size() const { return static_cast<Index>(texts_.size()); }

 private:
  std::map<std::string, Index> numbers_;
  std::vector<std::string> texts_;
};

/// What raters chose of each pair of an item that several of them judged.
std::vector<std::vector<int>> rated_units(const std::vector<const Vote*>& votes) {
  std::map<std::tuple<std::string, std::string, std::string>, std::map<std::string, int>> units;
  for (const auto* vote : votes) {
    if (vote->rater.empty()) continue;
    const bool ordered = vote->left < vote->right;
    const auto& first = ordered ? vote->left : vote->right;
    const auto& second = ordered ? vote->right : vote->left;
    const int category = vote->choice == Choice::tie ? 2 : (vote->choice == Choice::left) == ordered ? 0 : 1;
    units[{vote->item, first, second}].emplace(vote->rater, category);
  }
  std::vector<std::vector<int>> result;
  for (const auto& [unit, ratings] : units) {
    if (ratings.size() < 2) continue;
    auto& chosen = result.emplace_back();
    for (const auto& [rater, category] : ratings) chosen.push_back(category);
  }
  return result;
}

/// Errors of the strengths, and the names in their order, by the strongest first.
void sort_models(QuestionResult& result) {
  const auto count = result.models.size();
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) {
    return result.strengths ? result.strengths->strengths[i] : result.wins[i].value;
  });
  auto models = result.models;
  auto wins = result.wins;
  auto strengths = result.strengths;
  for (std::size_t i = 0; i < count; ++i) {
    result.models[i] = models[order[i]];
    result.wins[i] = wins[order[i]];
    if (!strengths) continue;
    result.strengths->strengths[i] = strengths->strengths[order[i]];
    for (std::size_t j = 0; j < count; ++j)
      result.strengths->covariance.data()[i * count + j] =
          std::as_const(strengths->covariance).data()[order[i] * count + order[j]];
  }
}

/// Of the votes of a rater who is named on one pair of an item the first.
std::vector<const Vote*> first_votes(const std::vector<const Vote*>& votes) {
  std::set<std::tuple<std::string, std::string, std::string, std::string>> seen;
  std::vector<const Vote*> result;
  for (const auto* vote : votes) {
    const auto& [first, second] = std::minmax(vote->left, vote->right);
    if (vote->rater.empty() || seen.emplace(vote->item, vote->rater, first, second).second)
      result.push_back(vote);
  }
  return result;
}

QuestionResult evaluate_question(const std::string& question, const std::vector<const Vote*>& all_votes,
                                 const VoteOptions& options) {
  const auto votes = first_votes(all_votes);
  TextNumbers models, items, raters;
  for (const auto& name : options.models) models.of(name);
  QuestionResult result;
  result.question = question;
  std::vector<metrics::Preference> preferences;
  std::vector<Index> item_of, rater_of;
  double lefts = 0.0;
  for (const auto* vote : votes) {
    using Outcome = metrics::Preference::Outcome;
    const auto outcome = vote->choice == Choice::tie    ? Outcome::tie
                         : vote->choice == Choice::left ? Outcome::first
                                                        : Outcome::second;
    preferences.push_back({models.of(vote->left), models.of(vote->right), outcome, 0});
    item_of.push_back(items.of(vote->item));
    rater_of.push_back(raters.of(vote->rater));
    result.ties += vote->choice == Choice::tie ? 1 : 0;
    lefts += vote->choice == Choice::left ? 1.0 : 0.0;
  }
  result.votes = static_cast<Index>(votes.size());
  result.repeated = static_cast<Index>(all_votes.size() - votes.size());
  result.items = items.size();
  result.raters = raters.size();
  result.models = models.texts();

  std::vector<double> won(result.models.size()), seen(result.models.size());
  for (const auto& one : preferences) {
    using Outcome = metrics::Preference::Outcome;
    const double first = one.outcome == Outcome::tie ? 0.5 : one.outcome == Outcome::first ? 1.0 : 0.0;
    const auto i = static_cast<std::size_t>(one.first), j = static_cast<std::size_t>(one.second);
    won[i] += first, won[j] += 1.0 - first;
    ++seen[i], ++seen[j];
  }
  for (std::size_t i = 0; i < won.size(); ++i)
    result.wins.push_back(seen[i] > 0 ? metrics::share_interval(won[i], seen[i])
                                      : metrics::Interval{0.5, 0.0, 1.0});
  const auto decided = static_cast<double>(result.votes - result.ties);
  result.left = decided > 0 ? metrics::share_interval(lefts, decided) : metrics::Interval{0.5, 0.0, 1.0};

  auto errors = options.errors;
  if (errors == VoteErrors::automatic) errors = items.size() >= 10 ? VoteErrors::items : VoteErrors::votes;
  result.errors = errors == VoteErrors::votes ? "votes" : errors == VoteErrors::items ? "items" : "raters";
  for (std::size_t k = 0; k < preferences.size(); ++k)
    preferences[k].cluster = errors == VoteErrors::raters ? rater_of[k] : item_of[k];
  try {
    result.strengths =
        metrics::fit_preferences(result.models, preferences,
                                 errors == VoteErrors::votes ? metrics::PreferenceErrors::information
                                                             : metrics::PreferenceErrors::clusters);
  } catch (const ArgumentError& error) {
    result.why_no_strengths = error.message();
  }
  sort_models(result);
  if (const auto units = rated_units(votes); !units.empty())
    result.agreement = metrics::krippendorff_alpha(units);
  return result;
}

Figure figure_of(std::string name, const std::string& category, const metrics::Interval& interval,
                 std::string definition) {
  Figure figure;
  figure.name = std::move(name);
  figure.category = category;
  figure.value = interval.value;
  figure.low = interval.low;
  figure.high = interval.high;
  figure.definition = std::move(definition);
  return figure;
}

}  // namespace

VoteErrors vote_errors_called(std::string_view name) {
  for (const auto& [known, errors] : vote_error_names)
    if (name == known) return errors;
  throw ArgumentError(votes_name,
                      "votes are independent in auto, votes, items or raters, not in " + in_quotes(name));
}

VoteResults evaluate_votes(std::span<const Vote> votes, const VoteOptions& options) {
  if (votes.empty()) throw ArgumentError(votes_name, "there are no votes");
  TextNumbers questions;
  std::vector<std::vector<const Vote*>> by_question;
  for (const auto& vote : votes) {
    for (const auto* model : {&vote.left, &vote.right})
      if (!options.models.empty() && std::ranges::find(options.models, *model) == options.models.end())
        throw ArgumentError(votes_name, "item " + in_quotes(vote.item) + " is a vote on " +
                                            in_quotes(*model) + ", which is none of the models");
    if (vote.left == vote.right)
      throw ArgumentError(
          votes_name, "item " + in_quotes(vote.item) + " compares " + in_quotes(vote.left) + " with itself");
    const auto place = static_cast<std::size_t>(questions.of(vote.question));
    if (place == by_question.size()) by_question.emplace_back();
    by_question[place].push_back(&vote);
  }
  VoteResults results;
  for (std::size_t i = 0; i < by_question.size(); ++i)
    results.questions.push_back(evaluate_question(questions.texts()[i], by_question[i], options));
  return results;
}

Report VoteResults::report() const {
  Report report;
  for (const auto& one : questions) {
    const auto& about = one.question;
    if (one.repeated > 0)
      report.warnings.push_back((about.empty() ? "" : about + ": ") + std::to_string(one.repeated) +
                                " votes of raters who had judged the same pair before are left out");
    const auto number = std::to_string(one.votes) + " votes, " + std::to_string(one.items) + " items";
    for (std::size_t i = 0; i < one.models.size(); ++i)
      report.figures.push_back(figure_of(one.models[i] + ": won", about, one.wins[i],
                                         "share of its votes, ties half, " + number + "; Wilson's interval"));
    if (one.strengths) {
      const auto definition =
          "Bradley-Terry, logarithm of the odds, mean 0, Davidson's ties; " + number +
          (one.errors == "votes"
               ? "; interval by the information matrix, votes independent"
               : "; interval by the cluster-robust covariance, " + one.errors + " independent");
      for (std::size_t i = 0; i < one.models.size(); ++i)
        report.figures.push_back(
            figure_of(one.models[i] + ": strength", about, one.strengths->strength(i), definition));
      for (std::size_t i = 0; i < one.models.size() && one.models.size() <= 6; ++i)
        for (std::size_t j = i + 1; j < one.models.size(); ++j)
          report.figures.push_back(
              figure_of(one.models[i] + " over " + one.models[j], about, one.strengths->preferred(i, j),
                        "probability of being preferred where it is no tie; " + definition));
    } else {
      report.warnings.push_back((about.empty() ? "" : about + ": ") + one.why_no_strengths);
    }
    report.figures.push_back(figure_of(
        "ties", about, metrics::share_interval(static_cast<double>(one.ties), static_cast<double>(one.votes)),
        "share of " + number + "; Wilson's interval"));
    report.figures.push_back(figure_of("left chosen", about, one.left,
                                       "share of votes that are no ties; Wilson's interval; 0.5 is fair"));
    if (one.agreement && !std::isnan(one.agreement->alpha.value))
      report.figures.push_back(
          figure_of("raters' agreement", about, one.agreement->alpha,
                    "Krippendorff's alpha, nominal, of " + std::to_string(one.agreement->units) +
                        " pairs judged by several, " + std::to_string(one.agreement->ratings) +
                        " votes; bootstrap over pairs"));
    else
      report.warnings.push_back((about.empty() ? "" : about + ": ") +
                                (one.agreement ? "all raters always chose the same, so that agreement "
                                                 "beyond chance is not defined"
                                               : "no pair was judged by several raters, so that nothing is "
                                                 "said of their agreement"));
  }
  return report;
}

}  // namespace daguerre::evaluation
