#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/evaluation/report.hpp"
#include "daguerre/metrics/agreement.hpp"
#include "daguerre/metrics/preference_strengths.hpp"

namespace daguerre::evaluation {

enum class Choice { left, right, tie };

/// What one rater answered about one pair of pictures.
struct Vote {
  std::string item;         ///< what was shown: the same for all raters of one pair
  std::string rater;        ///< empty where the file does not say
  std::string question;     ///< "alignment", "fidelity" …; empty where there is one only
  std::string left, right;  ///< the models
  Choice choice = Choice::tie;
};

/// Which model's picture lies where in a blind set, kept apart from what raters see.
struct BlindKey {
  std::string a, b;                       ///< the two models
  std::map<std::string, bool> a_is_left;  ///< by item

  /// Throws FileError, FormatError.
  static BlindKey load(const std::filesystem::path& path);
  /// Throws FileError.
  void save(const std::filesystem::path& path) const;
};

/// Reads votes: CSV with a header, or a JSON object on each line, by the file's extension (.jsonl, .ndjson).
/// Columns or keys: item, rater, question, left, right, choice; the last is "a" or "left" for the left one,
/// "b" or "right" for the right one, or "tie"; rater and question may be left out, others are ignored. With a
/// key, left and right may be left out as well. Throws FileError; FormatError, naming the line, also for an
/// item that the key does not have, and for models other than the key's.
std::vector<Vote> read_votes(const std::filesystem::path& path, const BlindKey* key = nullptr);
/// The same from memory.
std::vector<Vote> parse_votes(std::string_view text, const std::string& name, const BlindKey* key = nullptr);

/// What votes are taken to be independent in.
enum class VoteErrors { automatic, votes, items, raters };
/// "auto", "votes", "items" or "raters". Throws ArgumentError.
VoteErrors vote_errors_called(std::string_view name);

struct VoteOptions {
  /// automatic: items, where there are at least ten of them, else votes; see metrics::PreferenceErrors.
  VoteErrors errors = VoteErrors::automatic;
  /// The models that there may be; empty: whatever the votes name.
  std::vector<std::string> models{};
};

/// What people said to one question.
struct QuestionResult {
  std::string question;
  Index votes = 0, items = 0, raters = 0, ties = 0;
  Index repeated = 0;               ///< left out: a rater who is named had judged the same pair before
  std::vector<std::string> models;  ///< the strongest first; by share of wins where there are no strengths
  std::vector<metrics::Interval> wins;  ///< of each: the share of its votes that it won, ties counting half
  std::optional<metrics::PreferenceStrengths> strengths;  ///< in the order of `models`
  std::string why_no_strengths;                           ///< one line, where there are none
  std::string errors;      ///< what intervals take to be independent: "votes", "items", "raters"
  metrics::Interval left;  ///< the share of left among decided votes: far from 0.5, places were judged
  std::optional<metrics::Agreement> agreement;  ///< where several raters judged the same pair
};

struct VoteResults {
  std::vector<QuestionResult> questions;  ///< in the order in which they first come

  /// As figures, a question being a category; what could not be found is warned of.
  Report report() const;
};

/// Strengths of the models (Davidson's Bradley-Terry), raters' agreement (Krippendorff's alpha over the pairs
/// of an item that several raters judged), question by question; of the votes of a rater who is named on the
/// same pair of an item the first counts. Throws ArgumentError for no votes, and for a vote on a model that
/// is none of `VoteOptions::models`, or on one model alone.
VoteResults evaluate_votes(std::span<const Vote> votes, const VoteOptions& options = {});

inline constexpr std::size_t max_votes_bytes = std::size_t{256} << 20;

}  // namespace daguerre::evaluation
