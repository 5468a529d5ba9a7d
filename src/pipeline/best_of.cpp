#include "daguerre/pipeline/best_of.hpp"

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/text/extra_networks.hpp"
#include "daguerre/text/prompt_schedule.hpp"
#include "daguerre/text/prompt_weights.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

constexpr const char* best_of_name = "best_of";
constexpr int most_candidates = 10'000;
/// Candidates that are made in one run: parts that are loaded when needed are then loaded once for all of
/// them, and what is kept of them at once stays small.
constexpr int candidates_a_run = 4;

void check_best_of(const Pipeline& pipeline, const Request& request, const BestOfOptions& options) {
  const auto refuse = [](const std::string& what) { throw ArgumentError(best_of_name, what); };
  if (options.candidates < 1 || options.candidates > most_candidates)
    refuse(std::to_string(options.candidates) + " candidates, expected 1 to " +
           std::to_string(most_candidates));
  if (options.keep < 1 || options.keep > options.candidates)
    refuse(std::to_string(options.keep) + " pictures to keep of " + std::to_string(options.candidates) +
           " candidates, expected 1 to " + std::to_string(options.candidates));
  const int steps = request.sampling.steps.value_or(pipeline.info().steps);
  if (options.draft_steps && (*options.draft_steps < 1 || *options.draft_steps >= steps))
    refuse("draft_steps is " + std::to_string(*options.draft_steps) + ", expected 1 to " +
           std::to_string(steps - 1) + ", less than the " + std::to_string(steps) + " of a finished picture");
  if (options.draft_steps && !request.sampling.timesteps.empty())
    refuse("draft_steps and timesteps of one's own are given, expected one of them");
  if (request.output.count.value_or(1) != 1 || request.class_labels.size() > 1)
    refuse("one picture's candidates are made at a time; how many are kept is BestOfOptions::keep");
  if (pipeline.info().makes_films || request.on_frame) refuse("films are not judged");
  if (!request.sampling.noise.empty())
    refuse("noise is given in the place of the seed's, so that all candidates would be alike");
}

/// A prompt in the web UI's language as it is at the end, without its marks.
std::string without_a1111_marks(const std::string& prompt) {
  std::string result;
  for (const auto& joined : text::parse_a1111_and(text::take_extra_networks(prompt).prompt)) {
    const auto schedule = text::parse_a1111_schedule(joined.prompt, {});
    for (const auto& part : text::parse_a1111_attention(schedule.back().prompt))
      result += part.is_break() ? " " : part.text;
    result += " ";
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

/// What the judge is told of the request.
std::string judged_prompt(const Request& request, const BestOfOptions& options) {
  if (options.prompt) return *options.prompt;
  if (request.prompt.empty()) return request.class_name.value_or("");
  if (request.prompt_syntax == PromptSyntax::a1111) return without_a1111_marks(request.prompt);
  if (request.prompt_syntax != PromptSyntax::comfyui) return request.prompt;
  std::string result;
  for (const auto& part : text::parse_comfyui_weights(request.prompt)) result += part.text;
  return result;
}

/// A picture that was judged, and what is needed of its run.
struct JudgedPicture {
  std::size_t candidate = 0;
  double score = 0.0;
  Image image{};
  std::uint64_t seed = 0;
  std::string infotext{};
  Tensor<float> latents{}, decoded{};
};

/// A best-of run while it goes on.
class BestOfRun {
 public:
  BestOfRun(const Pipeline& pipeline, const Request& request, const PictureJudge& judge,
            const BestOfOptions& options)
      : pipeline_(pipeline),
        request_(request),
        options_(options),
        judge_name_(judge.name()),
        scorer_(judge.scorer(judged_prompt(request, options), request.stop)),
        full_steps_(request.sampling.steps.value_or(pipeline.info().steps)) {
    const int candidate_steps = options.draft_steps.value_or(full_steps_);
    all_steps_ = static_cast<double>(options.candidates) * candidate_steps +
                 (options.draft_steps ? static_cast<double>(options.keep) * full_steps_ : 0.0);
  }

  BestOfResult run() {
    for (int first = 0; first < options_.candidates; first += candidates_a_run)
      make_candidates(first, std::min(candidates_a_run, options_.candidates - first));
    if (options_.draft_steps) finish_drafts();
    return collected();
  }

 private:
  /// The request for `count` candidates from number `first` on.
  Request request_for(int first, int count) const {
    auto result = request_;
    auto& sampling = result.sampling;
    const auto offset = static_cast<std::uint64_t>(first);
    if (sampling.variation_strength.value_or(0.0) > 0.0)
      sampling.variation_seed = sampling.variation_seed.value_or(0) + offset;
    else
      sampling.seed = sampling.seed.value_or(0) + offset;
    result.output.count = count;
    return result;
  }

  /// Runs pictures of a stage, of `weight` steps each in all that is to be done.
  Result generate(Request request, BestOfProgress progress, int count, int weight) {
    const double whole = static_cast<double>(count) * weight;
    if (request_.on_step || options_.on_progress)
      request.on_step = [&, whole](const Step& step) {
        if (request_.on_step && !request_.on_step(step)) return false;
        if (!options_.on_progress) return true;
        auto now = progress;
        now.step = step.index;
        now.steps = step.total;
        now.done = (steps_done_ + whole * (step.index + 1) / std::max(step.total, 1)) / all_steps_;
        return options_.on_progress(now);
      };
    auto result = pipeline_.generate(request);
    steps_done_ += whole;
    for (auto& warning : result.warnings)
      if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end())
        warnings_.push_back(std::move(warning));
    return result;
  }

  double judged(const Image& image, std::size_t candidate) const {
    const auto speak = [&](std::string_view what) {
      return "candidate " + std::to_string(candidate) + " (seed " +
             std::to_string(candidates_[candidate].seed) + "): " + std::string(what);
    };
    try {
      return scorer_(image);
    } catch (const NumericError& error) {
      throw NumericError(best_of_name, speak(error.message()));
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      std::throw_with_nested(
          Error(best_of_name, speak("the judge " + judge_name_ + " failed: " + error.what())));
    }
  }

  /// Puts a picture among the best, whose order is by score, then by number.
  void keep(JudgedPicture picture) {
    const auto behind = std::find_if(best_.begin(), best_.end(), [&](const JudgedPicture& other) {
      return picture.score > other.score ||
             (picture.score == other.score && picture.candidate < other.candidate);
    });
    best_.insert(behind, std::move(picture));
    if (best_.size() > static_cast<std::size_t>(options_.keep)) best_.pop_back();
  }

  void make_candidates(int first, int count) {
    auto request = request_for(first, count);
    const bool drafts = options_.draft_steps.has_value();
    if (drafts) {
      request.sampling.steps = options_.draft_steps;
      request.hires.reset();
      request.output.latents = request.output.decoded = false;
    }
    const BestOfProgress progress{
        .stage = BestOfProgress::Stage::candidates, .picture = first, .pictures = options_.candidates};
    auto made = generate(std::move(request), progress, count, options_.draft_steps.value_or(full_steps_));
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto number = static_cast<std::size_t>(first + i);
      candidates_.push_back({.index = first + i, .seed = made.seeds.at(at)});
      if (request_.sampling.variation_strength.value_or(0.0) > 0.0)
        candidates_.back().seed =
            request_.sampling.variation_seed.value_or(0) + static_cast<std::uint64_t>(number);
      const double score = candidates_.back().score = judged(made.images.at(at), number);
      JudgedPicture picture{.candidate = number, .score = score, .seed = made.seeds.at(at)};
      if (!drafts) take(made, at, picture);
      keep(std::move(picture));
    }
  }

  static void take(Result& made, std::size_t at, JudgedPicture& picture) {
    const auto row = static_cast<Index>(at);
    picture.image = std::move(made.images.at(at));
    picture.infotext = std::move(made.infotexts.at(at));
    // Copies: a slice would keep the whole run's.
    if (!made.latents.empty()) picture.latents = made.latents.slice(row, row + 1).clone();
    if (!made.decoded.empty()) picture.decoded = made.decoded.slice(row, row + 1).clone();
  }

  void finish_drafts() {
    const auto drafts = std::exchange(best_, {});
    int number = 0;
    for (const auto& draft : drafts) {
      const BestOfProgress progress{.stage = BestOfProgress::Stage::finishing,
                                    .picture = number++,
                                    .pictures = static_cast<int>(drafts.size())};
      auto made = generate(request_for(static_cast<int>(draft.candidate), 1), progress, 1, full_steps_);
      JudgedPicture picture{.candidate = draft.candidate, .seed = made.seeds.front()};
      picture.score = judged(made.images.front(), draft.candidate);
      candidates_[draft.candidate].finished_score = picture.score;
      take(made, 0, picture);
      keep(std::move(picture));
    }
  }

  /// What the settings of a kept picture say of it.
  std::string with_score(const JudgedPicture& picture) const {
    Infotext more;
    more.parameters.emplace_back("Best of", std::to_string(options_.candidates));
    if (options_.draft_steps)
      more.parameters.emplace_back("Draft steps", std::to_string(*options_.draft_steps));
    more.parameters.emplace_back("Judge", judge_name_);
    more.parameters.emplace_back("Judge score", number(picture.score));
    return picture.infotext + ", " + to_string(more);  // the last line holds the parameters
  }

  BestOfResult collected() {
    BestOfResult result;
    auto& made = result.result;
    std::vector<Tensor<float>> latents, decoded;
    for (auto& picture : best_) {
      made.seeds.push_back(picture.seed);
      made.infotexts.push_back(with_score(picture));
      made.scores.push_back(picture.score);
      made.images.push_back(std::move(picture.image));
      if (!picture.latents.empty()) latents.push_back(std::move(picture.latents));
      if (!picture.decoded.empty()) decoded.push_back(std::move(picture.decoded));
    }
    if (!latents.empty()) made.latents = concat_leading<float>(latents);
    if (!decoded.empty()) made.decoded = concat_leading<float>(decoded);
    made.warnings = std::move(warnings_);
    result.candidates = std::move(candidates_);
    return result;
  }

  const Pipeline& pipeline_;
  const Request& request_;
  const BestOfOptions& options_;
  std::string judge_name_;
  PictureJudge::Scorer scorer_;
  int full_steps_;
  double all_steps_ = 1.0, steps_done_ = 0.0;
  std::vector<Candidate> candidates_;
  std::vector<JudgedPicture> best_;
  std::vector<std::string> warnings_;
};

}  // namespace

BestOfResult best_of(const Pipeline& pipeline, const Request& request, const PictureJudge& judge,
                     const BestOfOptions& options) {
  check_best_of(pipeline, request, options);
  return BestOfRun(pipeline, request, judge, options).run();
}

}  // namespace daguerre
