#include "daguerre/pipeline/picture_judge.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "core/attempt.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "pipeline/clip_towers.hpp"

namespace daguerre {
namespace {

constexpr const char* judge_name = "judge";

/// What a cosine becomes, by the kind of judge.
struct JudgeKind {
  std::string_view name;
  double weight;
  ClipPreparation preparation;
};
constexpr std::array<JudgeKind, 2> judge_kinds{
    {{"clip", 100.0, ClipPreparation::clip}, {"hps", 1.0, ClipPreparation::hps}}};

/// The kind and the path of "KIND:PATH".
std::pair<JudgeKind, std::string> parsed_judge(std::string_view judge) {
  for (const auto& kind : judge_kinds) {
    if (!judge.starts_with(kind.name)) continue;
    const auto rest = judge.substr(kind.name.size());
    if (rest.size() > 1 && rest.front() == ':') return {kind, std::string(rest.substr(1))};
  }
  throw ArgumentError(judge_name, in_quotes(judge) + " is not clip:PATH or hps:PATH");
}

void require_finite_score(const std::string& name, double score) {
  if (!std::isfinite(score))
    throw NumericError(judge_name, name + " gave " + std::to_string(score) + ", expected a finite score");
}

}  // namespace

struct PictureJudge::State {
  std::string name;
  Function function;  ///< empty: the network's
  std::shared_ptr<const ClipTowers> towers;
  double weight = 1.0;
  std::shared_ptr<const ops::Engine> engine;
  Threads threads{1};
  LogSink log;

  ops::Context context(std::stop_token stop) const {
    if (towers == nullptr) throw ArgumentError(judge_name, name + " is a function, which has no embeddings");
    return {.engine = engine, .threads = threads, .pool = {}, .stop = std::move(stop), .profile = {}};
  }
  Tensor<float> embed_text(const ops::Context& context, std::string_view text) const {
    if (const auto lost = towers->lost(text); !lost.empty() && log)
      log(LogLevel::warning, "[judge] " + name + " does not see the end of the text: " + in_quotes(lost));
    return towers->embed_text(context, text);
  }
};

PictureJudge PictureJudge::load(std::string_view judge, const JudgeOptions& options) {
  const auto parsed = parsed_judge(judge);
  const auto& kind = parsed.first;
  const std::filesystem::path from = parsed.second;
  const std::string name =
      std::string(kind.name) + ":" + (is_folder(from) ? model_name(from) : from.stem().string());
  return naming(from, [&] {
    if (options.threads < 0) throw ArgumentError(judge_name, "threads is " + std::to_string(options.threads));
    const auto engine = ops::make_engine(options.engine);
    const Threads threads(options.threads == 0 ? available_threads() : options.threads);
    const LoadContext context{
        .compute = {.engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}},
        .precision = resolved(options.precision, *engine),
        .log = options.log};
    auto towers =
        load_clip_towers(from, kind.preparation, {options.tokenizer, options.tokenizer_fallback}, context);
    context.tell(LogLevel::info, "[judge] " + name + ": " + from.string());
    return PictureJudge(std::make_shared<const State>(
        State{name, {}, std::move(towers), kind.weight, engine, threads, options.log}));
  });
}

Expected<PictureJudge> PictureJudge::try_load(std::string_view judge, const JudgeOptions& options) noexcept {
  return attempt([&] { return load(judge, options); });
}

PictureJudge PictureJudge::from(std::string name, Function function) {
  if (!function) throw ArgumentError(judge_name, "the judge's function is empty");
  return PictureJudge(std::make_shared<const State>(
      State{std::move(name), std::move(function), {}, 1.0, {}, Threads(1), {}}));
}

PictureJudge::Scorer PictureJudge::scorer(std::string_view prompt, std::stop_token stop) const {
  const auto state = state_;
  if (state->function)
    return [state, text = std::string(prompt), stop](const Image& picture) {
      if (stop.stop_requested()) throw Cancelled(judge_name, "a stop was requested");
      const double score = state->function(text, picture);
      require_finite_score(state->name, score);
      return score;
    };
  const auto context = state->context(std::move(stop));
  const auto text = state->embed_text(context, prompt).to<double>();
  return [state, context, text](const Image& picture) {
    context.check_stop();
    const auto shown = state->towers->embed_picture(context, picture).to<double>();
    const double score = state->weight * metrics::cosine_similarity(shown, text).front();
    require_finite_score(state->name, score);
    return score;
  };
}

std::vector<double> PictureJudge::score(std::string_view prompt, std::span<const Image> pictures,
                                        std::stop_token stop) const {
  const auto judge = scorer(prompt, std::move(stop));
  std::vector<double> result;
  for (const auto& picture : pictures) result.push_back(judge(picture));
  return result;
}

Tensor<double> PictureJudge::embed_texts(std::span<const std::string> texts, std::stop_token stop) const {
  const auto context = state_->context(std::move(stop));
  std::vector<Tensor<double>> rows;
  for (const auto& text : texts) rows.push_back(state_->embed_text(context, text).to<double>());
  if (rows.empty()) throw ArgumentError(judge_name, "there is no text to embed");
  return concat_leading<double>(rows);
}

Tensor<double> PictureJudge::embed_pictures(std::span<const Image> pictures, std::stop_token stop) const {
  const auto context = state_->context(std::move(stop));
  std::vector<Tensor<double>> rows;
  for (const auto& picture : pictures)
    rows.push_back(state_->towers->embed_picture(context, picture).to<double>());
  if (rows.empty()) throw ArgumentError(judge_name, "there is no picture to embed");
  return concat_leading<double>(rows);
}

const std::string& PictureJudge::name() const noexcept {
  return state_->name;
}

}  // namespace daguerre
