#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/pipeline/picture_judge.hpp"
#include "daguerre/pipeline/request.hpp"
#include "daguerre/pipeline/result.hpp"

namespace daguerre {

class Pipeline;

/// How far `best_of` is.
struct BestOfProgress {
  enum class Stage { candidates, finishing };
  Stage stage = Stage::candidates;
  int picture = 0;   ///< that is worked on, of the stage's, from 0; the first of those that are made together
  int pictures = 1;  ///< of the stage
  int step = 0;      ///< of that picture's run, from 0
  int steps = 1;
  double done = 0.0;  ///< the part of all steps that is done, 0 to 1
};

/// Several candidates are made, and the best are kept.
struct BestOfOptions {
  /// Candidates, 1 to 10,000. Candidate i is picture i of a batch: it has seed + i, or with
  /// `variation_strength` the same seed and variation_seed + i.
  int candidates = 4;
  int keep = 1;  ///< so many of them, the best first
  /// Candidates are made in so few steps and without a second pass; those that are kept are then made with
  /// all of them, and judged again. Not given: all candidates are finished.
  std::optional<int> draft_steps{};
  /// What the judge is told. By default the request's prompt, of which the web UI's and ComfyUI's weights and
  /// tags are taken out; else the class's name.
  std::optional<std::string> prompt{};
  /// Told after each step; return false to stop, which throws Cancelled. Request::on_step is called as well.
  std::function<bool(const BestOfProgress&)> on_progress{};
};

/// How a candidate fared.
struct Candidate {
  int index = 0;                           ///< in the order in which they were made
  std::uint64_t seed = 0;                  ///< its own
  double score = 0.0;                      ///< as it was made first
  std::optional<double> finished_score{};  ///< where it was finished after a draft
};

struct BestOfResult {
  /// The kept pictures, the best first, with their scores in `scores` and, as "Judge score", in their
  /// settings.
  Result result;
  std::vector<Candidate> candidates;  ///< all of them, in the order in which they were made
};

/// Makes one picture's candidates, keeps those that `judge` scores highest (of equal ones the earlier) and
/// forgets the others as soon as they are judged: memory does not grow with their number. `seed` and
/// settings of a kept picture make it again without the others.
///
/// Throws ArgumentError for numbers that are not possible, for films, for more than one picture in
/// `Output::count`, and for noise that is given, which would make all candidates alike; NumericError, naming
/// the candidate, for a score that is NaN or infinite; Error around what a host's judge throws, unless that
/// is an Error itself; and what Pipeline::generate throws.
BestOfResult best_of(const Pipeline& pipeline, const Request& request, const PictureJudge& judge,
                     const BestOfOptions& options = {});

}  // namespace daguerre
