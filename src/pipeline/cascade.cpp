#include "daguerre/pipeline/cascade.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/attempt.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "pipeline/cascade_name.hpp"
#include "pipeline/cascade_parts.hpp"
#include "pipeline/cascade_requests.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/shared_text_encoders.hpp"

namespace daguerre {
namespace {

/// Counts the steps of all stages.
class StageTally {
 public:
  StageTally(const CascadeRequest& request, const std::vector<StageSource>& stages)
      : request_(request), stages_(stages), planned_(stages.size(), 1) {}

  void plan(std::size_t stage, int steps) { planned_[stage] = std::max(1, steps); }
  /// To be called before each run of a stage; there are `runs` of it.
  void begin(std::size_t stage, std::size_t picture, std::size_t runs) {
    stage_ = stage;
    picture_ = picture;
    runs_ = runs;
    before_ = done_;
  }
  bool wanted() const { return static_cast<bool>(request_.on_step); }
  bool report(const Step& step) {
    plan(stage_, static_cast<int>(runs_) * step.total);
    done_ = before_ + step.index + 1;
    int total = finished_;
    for (std::size_t i = stage_; i < planned_.size(); ++i) total += planned_[i];
    shown_ = std::max(shown_, static_cast<double>(done_) / static_cast<double>(total));
    return request_.on_step(CascadeStep{.stage = stage_,
                                        .stages = stages_.size(),
                                        .name = stages_[stage_].stage.name,
                                        .picture = picture_,
                                        .index = done_ - 1,
                                        .total = total,
                                        .progress = shown_,
                                        .step = step});
  }
  /// Behind a stage's last run.
  void finish() { finished_ = done_; }

 private:
  const CascadeRequest& request_;
  const std::vector<StageSource>& stages_;
  std::vector<int> planned_;
  std::size_t stage_ = 0, picture_ = 0, runs_ = 1;
  int done_ = 0, before_ = 0, finished_ = 0;
  double shown_ = 0.0;
};

/// What a run makes of the pictures, as it goes through the stages.
struct StagePictures {
  Result result;
  std::vector<Infotext> texts;
};

}  // namespace

struct Cascade::State {
  std::string name;
  std::vector<StageSource> stages;
  std::vector<LoadedStage> kept;  ///< empty: each is loaded when its turn comes
  std::vector<CascadeStageInfo> infos;

  StageOptions options_of(const CascadeRequest& request, std::size_t stage) const {
    const auto& own = stages[stage].stage.options;
    return stage < request.stages.size() ? request.stages[stage].over(own) : own;
  }
  Request first_of(const CascadeRequest& request) const;
  void check(const CascadeRequest& request) const;
  /// Counts the steps, and checks what can be checked, of stages that are there. Throws ArgumentError.
  void plan(const CascadeRequest& request, StageTally& tally) const;
  void run_first(const LoadedStage& loaded, const CascadeRequest& request, StageTally& tally,
                 StagePictures& made) const;
  void run_later(std::size_t stage, const LoadedStage& loaded, const CascadeRequest& request,
                 StageTally& tally, StagePictures& made) const;
};

Cascade Cascade::load(const std::filesystem::path& path, const CascadeOptions& options) {
  return load(CascadeDescription::read(path), options);
}

Expected<Cascade> Cascade::try_load(const std::filesystem::path& path,
                                    const CascadeOptions& options) noexcept {
  return attempt([&] { return load(path, options); });
}

Cascade Cascade::load(const CascadeDescription& description, const CascadeOptions& options) {
  const auto count = description.stages.size();
  if (count == 0) throw ArgumentError(cascade_name, "a cascade needs a stage");
  auto state = std::make_shared<State>();
  state->name = description.name;
  auto load = options.load;
  load.components = std::make_shared<const ComponentRegistry>(
      SharedTextEncoders().in(load.components ? *load.components : ComponentRegistry::standard()));
  std::optional<Extent> size;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& stage = description.stages[i];
    const auto name = stage.name.empty() ? model_name(stage.path) : stage.name;
    const auto label = "stage " + std::to_string(i + 1) + " of " + std::to_string(count) + " (" + name + ")";
    in_stage(label, [&] {
      const auto& looked = state->stages.emplace_back(StageSource::look(stage, label, load));
      if (i > 0 && !looked.takes_picture)
        throw ConfigError(cascade_name, looked.title + " takes no picture: it can only be the first stage",
                          stage.path);
      if (i == 0 && stage.options.scale && !looked.takes_picture)
        throw ConfigError(cascade_name, "a scale is given, and no picture comes in", stage.path);
      size = wanted_size(looked, stage.options, size);
    });
    load.loras.clear();  // they are the first one's
    load.find_lora = {};
    load.lora_dir.clear();
  }
  for (const auto& stage : state->stages) {
    state->infos.push_back({stage.stage.name, stage.stage.path, stage.what, stage.stage.options});
    if (options.memory == CascadeMemory::one_at_a_time) continue;
    in_stage(stage.label, [&] { state->kept.push_back(stage.loaded(options.load.stop)); });
  }
  return Cascade(std::move(state));
}

void Cascade::State::check(const CascadeRequest& request) const {
  if (request.first.on_step || request.first.on_frame)
    throw ArgumentError(cascade_name,
                        "the first stage's request has callbacks of its own: steps are told "
                        "to CascadeRequest::on_step");
  if (request.stages.size() > stages.size())
    throw ArgumentError(cascade_name, "there are options for stage " + std::to_string(request.stages.size()) +
                                          ", and the cascade has " + std::to_string(stages.size()));
}

Request Cascade::State::first_of(const CascadeRequest& request) const {
  const auto& own = stages.front().stage.options;
  const auto over = request.stages.empty() ? StageOptions() : request.stages.front();
  auto result = first_request(request.first, over, own);
  settle_first_size(stages.front(), over, own, result);
  const bool is_last = stages.size() == 1;
  result.output.latents = is_last && request.first.output.latents;
  result.output.decoded = is_last && request.first.output.decoded;
  return result;
}

void Cascade::State::plan(const CascadeRequest& request, StageTally& tally) const {
  std::optional<Extent> size;
  std::size_t count = static_cast<std::size_t>(std::max(1, request.first.output.count.value_or(1)));
  const auto count_steps = [&](std::size_t i, double steps) {
    constexpr double most = 1e8;  // the sum over all stages is an int
    tally.plan(i, static_cast<int>(
                      std::max(0.0, std::min(most, i == 0 ? steps : steps * static_cast<double>(count)))));
  };
  for (std::size_t i = 0; i < stages.size(); ++i)
    in_stage(stages[i].label, [&] {
      const auto options = options_of(request, i);
      const auto& stage = stages[i];
      const bool there = !kept.empty() && kept[i].pipeline;
      if (there && (i == 0 || size)) {
        const auto& pipeline = *kept[i].pipeline;
        const auto outline =
            i == 0 ? pipeline.outline(first_of(request))
                   : pipeline.outline(later_request(stage, pipeline.info(), options, request.first,
                                                    Image((*size)[1], (*size)[0], 3), 0, 0));
        if (i == 0) count = outline.count;
        const Extent made{outline.height, outline.width};
        if (i > 0) check_sizes_follow(stage, *size, made);
        size = made;
        return count_steps(i, outline.steps);
      }
      if (i == 0 && !request.first.input.image.empty()) size = size_of_image(request.first.input.image);
      if (!kept.empty() && kept[i].upscaler && size && !wanted_size(stage, options, size)) {
        const auto scale = kept[i].upscaler->scale();
        size = Extent{(*size)[0] * scale, (*size)[1] * scale};
      } else {
        size = wanted_size(stage, options, size);
      }
      const auto steps = i == 0 && request.first.sampling.steps && !options.steps
                             ? request.first.sampling.steps
                             : options.steps;
      const double usual = stage.source ? steps.value_or(stage.usual_steps) : 1;
      count_steps(i, std::ceil(usual * std::clamp(options.strength.value_or(1.0), 0.0, 1.0)));
    });
}

void Cascade::State::run_first(const LoadedStage& loaded, const CascadeRequest& request, StageTally& tally,
                               StagePictures& made) const {
  auto own = first_of(request);
  if (loaded.upscaler) {  // the picture is the host's, and goes through as any other
    if (own.input.image.empty())
      throw ArgumentError(cascade_name, "an upscaler makes pictures larger: it needs one");
    const auto count = static_cast<std::size_t>(std::max(1, own.output.count.value_or(1)));
    const auto size =
        std::to_string(own.input.image.width()) + "x" + std::to_string(own.input.image.height());
    for (std::size_t i = 0; i < count; ++i) {
      made.result.images.push_back(own.input.image);
      made.result.seeds.push_back(own.sampling.seed.value_or(0) + i);
      made.texts.push_back({own.prompt,
                            own.negative_prompt.value_or(""),
                            {{"Seed", std::to_string(made.result.seeds.back())}, {"Size", size}}});
    }
    return run_later(0, loaded, request, tally, made);
  }
  if (loaded.pipeline->info().makes_films)
    throw ArgumentError(cascade_name, "the model makes films; cascades are of pictures");
  tally.begin(0, 0, 1);
  if (tally.wanted()) own.on_step = [&](const Step& step) { return tally.report(step); };
  made.result = loaded.pipeline->generate(own);
  for (const auto& text : made.result.infotexts) {
    made.texts.push_back(parse_infotext(text));
    made.texts.back().prompt = own.prompt;
    made.texts.back().negative_prompt = own.negative_prompt.value_or("");
  }
}

void Cascade::State::run_later(std::size_t stage, const LoadedStage& loaded, const CascadeRequest& request,
                               StageTally& tally, StagePictures& made) const {
  const auto& source = stages[stage];
  const auto options = options_of(request, stage);
  auto& result = made.result;
  const auto count = result.images.size();
  const bool is_last = stage + 1 == stages.size();
  std::vector<Tensor<float>> latents, decoded;
  for (std::size_t i = 0; i < count; ++i) {
    tally.begin(stage, i, count);
    auto& picture = result.images[i];
    std::vector<std::pair<std::string, std::string>> parameters;
    if (loaded.pipeline) {
      const auto& info = loaded.pipeline->info();
      if (info.makes_films)
        throw ArgumentError(cascade_name, "the model makes films; cascades are of pictures");
      auto own = later_request(source, info, options, request.first, picture, result.seeds[i], i);
      own.output.latents = is_last && request.first.output.latents;
      own.output.decoded = is_last && request.first.output.decoded;
      if (kept.empty() && i == 0) {
        const auto outline = loaded.pipeline->outline(own);
        check_sizes_follow(source, size_of_image(picture), {outline.height, outline.width});
      }
      if (tally.wanted()) own.on_step = [&](const Step& step) { return tally.report(step); };
      auto run = loaded.pipeline->generate(own);
      picture = std::move(run.images.front());
      parameters = parse_infotext(run.infotexts.front()).parameters;
      result.warnings.insert(result.warnings.end(), run.warnings.begin(), run.warnings.end());
      if (own.output.latents) latents.push_back(std::move(run.latents));
      if (own.output.decoded) decoded.push_back(std::move(run.decoded));
    } else {
      UpscaleOptions how{.stop = request.first.stop};
      how.tile = options.tile.value_or(how.tile);
      how.overlap =
          options.tile_overlap.value_or(how.tile == 0 ? how.overlap : std::min(how.overlap, how.tile / 4));
      if (tally.wanted())
        how.on_tile = [&](int done, int total) {
          return tally.report(Step{.index = done - 1, .total = total});
        };
      const auto size = wanted_size(source, options, size_of_image(picture));
      picture =
          size ? (*loaded.upscaler)(picture, (*size)[1], (*size)[0], how) : (*loaded.upscaler)(picture, how);
      parameters = {{"Upscaler", loaded.upscaler->name()},
                    {"Size", std::to_string(picture.width()) + "x" + std::to_string(picture.height())},
                    {"Tile size", std::to_string(how.tile)},
                    {"Tile overlap", std::to_string(how.overlap)}};
    }
    add_stage_parameters(stage, options, std::move(parameters), made.texts[i]);
  }
  if (!latents.empty()) result.latents = concat_leading<float>(latents);
  if (!decoded.empty()) result.decoded = concat_leading<float>(decoded);
}

Result Cascade::generate(const CascadeRequest& request) const {
  const auto& state = *state_;
  const auto& stop = request.first.stop;
  state.check(request);
  StageTally tally(request, state.stages);
  state.plan(request, tally);
  StagePictures made;
  for (std::size_t i = 0; i < state.stages.size(); ++i) {
    if (stop.stop_requested()) throw Cancelled(cascade_name, "the run was stopped");
    const auto& stage = state.stages[i];
    in_stage(stage.label, [&] {
      const auto loaded = state.kept.empty() ? stage.loaded(stop) : state.kept[i];
      if (i == 0)
        state.run_first(loaded, request, tally, made);
      else
        state.run_later(i, loaded, request, tally, made);
    });
    tally.finish();
    if (request.on_stage && i + 1 < state.stages.size()) request.on_stage(i, made.result);
  }
  auto& result = made.result;
  result.infotexts.clear();
  for (auto& text : made.texts) {
    if (!state.name.empty() && state.stages.size() > 1) {
      auto& all = text.parameters;
      const auto version =
          std::find_if(all.begin(), all.end(), [](const auto& entry) { return entry.first == "Version"; });
      all.insert(version, {"Cascade", state.name});
    }
    result.infotexts.push_back(to_string(text));
  }
  return std::move(result);
}

Expected<Result> Cascade::try_generate(const CascadeRequest& request) const noexcept {
  return attempt([&] { return generate(request); });
}

const std::string& Cascade::name() const noexcept {
  return state_->name;
}

const std::vector<CascadeStageInfo>& Cascade::stages() const noexcept {
  return state_->infos;
}

const Pipeline* Cascade::first() const noexcept {
  return state_->kept.empty() || !state_->kept.front().pipeline ? nullptr : &*state_->kept.front().pipeline;
}

}  // namespace daguerre
