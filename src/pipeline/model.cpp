#include "daguerre/pipeline/model.hpp"

#include <algorithm>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "pipeline/controls/controls.hpp"
#include "pipeline/enlargement.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/loaded_parts.hpp"
#include "pipeline/name.hpp"
#include "pipeline/prepare.hpp"
#include "pipeline/prompt_conditions.hpp"
#include "pipeline/tiled_parts.hpp"

namespace daguerre {
namespace {

/// Stands where a model works in pixels.
class PixelSpace final : public Autoencoder {
 public:
  explicit PixelSpace(Index channels)
      : format_{.channels = channels, .space_ratio = 1, .mean = {}, .std = {}, .config = {}} {}
  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context&, const Tensor<float>& pictures) const override {
    return {pictures, {}};
  }
  Tensor<float> decode(const ops::Context&, const Tensor<float>& latents) const override { return latents; }

 private:
  LatentFormat format_;
};

/// What the denoiser's channels are beside those of a small picture.
Index pixel_channels(const Family& family, const DenoiserInfo& denoiser) {
  const auto joins = family.tasks.joins;
  return denoiser.in_channels - (enlarges(joins) ? joined_channels(joins, {}) : 0);
}

/// The context for a task's convolutions.
ops::Context wrapping(ops::Context context, const Task& task) {
  context.wrap = {task.tiling.x, task.tiling.y};
  return context;
}

template <class Change>
void for_each_side(Conditions& conditions, const Change& change) {
  change(conditions.positive, Side::positive);
  if (conditions.negative) change(*conditions.negative, Side::negative);
  for (auto& other : conditions.others) change(other.conditioning, Side::positive);
}

/// The noise of one film of several, which all draw alike: each draw is of all of them.
class NoiseOfOne final : public NoiseStreams {
 public:
  /// `draws` are those that films before this one made.
  NoiseOfOne(NoiseStreams& all, Index films, Index film, std::vector<Tensor<float>>& draws)
      : all_(all), films_(films), film_(film), draws_(draws) {}
  using NoiseStreams::draw;
  Tensor<float> draw(Use use, const Shape& shape, FilmOrder order) override {
    if (next_ == draws_.size()) draws_.push_back(all_.draw(use, shape.with(0, films_ * shape[0]), order));
    return draws_[next_++].slice(film_ * shape[0], (film_ + 1) * shape[0]);
  }

 private:
  NoiseStreams& all_;
  Index films_, film_;
  std::vector<Tensor<float>>& draws_;
  std::size_t next_ = 0;
};

/// One image's guidance and the conditions that it goes through.
struct GuidedImage {
  std::vector<LaterConditions> stages;  ///< by step, the first from 0 on
  std::size_t stage = 0;
  std::unique_ptr<GuiderRun> run{};

  void begin(const Guider& guider, Index step) {
    while (has_next(step)) ++stage;
    run = guider.start(stages[stage].conditions);
  }
  GuiderRun& at(Index step) {
    const auto before = stage;
    while (has_next(step)) ++stage;
    if (stage != before) run->change(stages[stage].conditions);
    return *run;
  }

 private:
  bool has_next(Index step) const { return stage + 1 < stages.size() && stages[stage + 1].step <= step; }
};

}  // namespace

Model::Model(Family family, Components components)
    : family_(std::move(family)), components_(std::move(components)) {
  if (components_.denoiser == nullptr) throw ArgumentError(pipeline_name, "a model needs a denoiser");
  if (components_.autoencoder == nullptr)
    components_.autoencoder = std::make_shared<const PixelSpace>(pixel_channels(family_, denoiser()));
  if (family_.settle) family_.settle(family_, components_.denoiser->info());
}

Extent Model::default_size() const noexcept {
  const Index ratio = format().space_ratio;
  return {denoiser().sample_height * ratio, denoiser().sample_width * ratio};
}

Model Model::without_text_encoders() const {
  auto rest = *this;
  rest.components_.text_encoders.clear();
  if (loaded_) {
    auto parts = *loaded_;
    parts.text_encoders.clear();
    rest.loaded_ = std::make_shared<const LoadedParts>(std::move(parts));
  }
  return rest;
}

Model Model::with_parts(std::shared_ptr<const Denoiser> denoiser,
                        std::shared_ptr<const Autoencoder> autoencoder) const {
  auto result = *this;
  result.components_.denoiser = std::move(denoiser);
  result.components_.autoencoder = std::move(autoencoder);
  return result;
}

std::shared_ptr<const Guider> Model::guider(const Task& task) const {
  return task.guider ? task.guider : family_.guider(task.guidance, denoiser());
}

void Model::check(const Task& task) const {
  check_task(task, family_, components_);
}

Index Model::sequence_length(const Task& task) const noexcept {
  return task.sequence_length > 0 ? task.sequence_length : family_.defaults.sequence_length;
}

std::vector<Conditions> Model::condition(const ops::Context& context, const Task& given,
                                         const Guider& guider) const {
  check(given);
  auto task = given;
  task.sequence_length = sequence_length(given);
  if (enlarges(family_.tasks.joins)) task.noise_level = noise_level_of(given, family_);
  for (auto& prompt : task.prompts) prompt = family_.cleaned(std::move(prompt));
  const auto& attentions = denoiser().cross_attentions;
  const auto positive_keys = decoupled_keys(context, task.image_prompts, attentions, true);
  const auto negative_keys = guider.needs_negative()
                                 ? decoupled_keys(context, task.image_prompts, attentions, false)
                                 : decltype(positive_keys)();
  const auto add_pictures = [&](Conditions& conditions) {
    for_each_side(conditions, [&](Conditioning& conditioning, Side side) {
      conditioning.decoupled = side == Side::positive ? positive_keys : negative_keys;
      conditioning.free_u = task.free_u;
      conditioning.windows = task.film.windows.of_attention();
    });
  };
  const auto leases = components_.lease_text_encoders();
  std::vector<Conditions> result;
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    const auto& prompt = task.prompts[i];
    if (i > 0 && prompt == task.prompts[i - 1]) {
      result.push_back(result.back());
      continue;
    }
    Conditions conditions;
    if (task.prompting.is_plain()) {
      conditions.positive = family_.condition(context, components_, task, prompt, Side::positive);
      if (guider.needs_negative())
        conditions.negative = family_.condition(context, components_, task, prompt, Side::negative);
    } else {
      conditions = read_conditions(context, family_, components_, task, prompt, guider);
    }
    add_pictures(conditions);
    for (auto& later : conditions.later) {
      auto own = *later;
      add_pictures(own.conditions);
      later = std::make_shared<const LaterConditions>(std::move(own));
    }
    for (const auto& [name, extra] : conditions.positive.extras)
      if (const auto& known = denoiser().extras; std::find(known.begin(), known.end(), name) == known.end())
        throw ArgumentError(pipeline_name,
                            "the condition has \"" + name + "\", which the denoiser does not read");
    result.push_back(std::move(conditions));
  }
  return result;
}

Tensor<float> Model::denoise(const ops::Context& given, const Task& task, std::vector<Conditions> conditions,
                             NoiseStreams& noise, const StepObserver& on_step) const {
  check(task);
  const auto context = wrapping(given, task);
  if (conditions.size() != task.prompts.size())
    throw ArgumentError(pipeline_name, std::to_string(conditions.size()) + " conditions for " +
                                           std::to_string(task.prompts.size()) + " pictures");
  const auto how = guider(task);
  ControlRun controls(task.controls, *components_.autoencoder, denoiser(), task.guidance.scale,
                      how->needs_negative());
  const auto start = [&] {
    const auto lease = components_.autoencoder->lease();
    const auto latents = latent_shape(task, family_, components_);
    controls.read(context, latents, noise, true);
    auto prepared = prepare(context, task, family_, components_, noise);
    controls.read(context, latents, noise, false);
    return prepared;
  }();
  const auto step_of = [&](Index call) { return call * task.steps / start.run->calls(); };
  // What does not know of windows itself is asked window by window.
  const auto window = task.film.windows.of_attention();
  const auto denoiser_of_run = window && denoiser().films && !denoiser().takes_windows
                                   ? windowed(components_.denoiser, latent_frames(format(), window->length),
                                              std::max<Index>(1, window->stride / format().time_ratio))
                                   : components_.denoiser;
  std::vector<GuidedImage> guided;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    const auto of_image = [&](const Tensor<float>& x) {
      return x.slice(static_cast<Index>(i), static_cast<Index>(i) + 1);
    };
    auto& stages = guided.emplace_back().stages;
    for (const auto& later : conditions[i].later) stages.push_back(*later);
    stages.insert(stages.begin(), {0, std::move(conditions[i])});
    for (auto& stage : stages)
      for_each_side(stage.conditions, [&](Conditioning& conditioning, Side side) {
        conditioning.sides = {side};
        if (!start.concat.empty()) conditioning.concat = of_image(start.concat);
        if (!start.reference_latents.empty())
          conditioning.extras.insert_or_assign("reference_latents", of_image(start.reference_latents));
        if (start.tell) start.tell(conditioning, side, static_cast<Index>(i));
      });
    guided.back().begin(*how, step_of(start.first_call));
  }
  DenoisingLoop loop;
  const auto* part = family_.part(Part::Kind::denoiser);
  if (part != nullptr) loop.component = part->name;
  loop.denoiser = [&](const Tensor<float>& x, float timestep, Index index, Index image) {
    // Of those that would be run without an early end.
    const Index step = index - start.first_call, steps = start.run->calls() - start.first_call;
    auto& run = guided[static_cast<std::size_t>(image)].at(step_of(index));
    const auto predicted = [&](const Tensor<float>& seen, const std::function<void(Conditioning&)>& tell) {
      const Predict predict = [&](const Tensor<float>& branches, const Conditioning& conditioning) {
        const bool controlled = controls.is_on(step, steps);
        if (!controlled && !tell) return (*denoiser_of_run)(context, branches, timestep, conditioning);
        auto told = conditioning;
        if (tell) tell(told);
        if (controlled) told.features = controls(context, branches, told, timestep, image, step, steps);
        return (*denoiser_of_run)(context, branches, timestep, told);
      };
      return run(predict, seen, {index, start.end_call, timestep});
    };
    const auto output = start.call ? start.call({index, image, timestep, predicted}, x) : predicted(x, {});
    const bool drops = family_.drops_variance && !start.run->takes_variance();
    return drops ? ops::narrow(context, output, -1, 0, x.dim(-1)) : output;
  };
  loop.revise = start.revise;
  if (on_step &&
      start.finish)  // what is shown is a film as it will be; what the sampler left is as it left it
    loop.on_step = [&](const DenoisingStep& step) {
      const auto& guess = step.pred_original_sample;
      const auto latents = start.finish(step.latents);
      const auto finished = guess.empty() ? guess : start.finish(guess);
      on_step({step.index, step.total, step.timestep, latents, step.stepped, step.model_output, finished});
    };
  else
    loop.on_step = on_step;
  loop.order = family_.step_order.value_or(family_.order);
  loop.first_call = start.first_call;
  loop.end_call = start.end_call;
  auto latents = loop(context, *start.run, start.latents, noise);
  return start.finish ? start.finish(latents) : latents;
}

Index Model::frames_of(const Task& task) const {
  if (!denoiser().films) return 1;
  return film_frames(task, family_, format());
}

double Model::frame_rate_of(const Task& task) const noexcept {
  return task.film.frame_rate == 0.0 ? family_.defaults.frame_rate : task.film.frame_rate;
}

LatentFormat Model::format_of(const Task& task) const {
  auto result = format();
  if (family_.tasks.inpaints_unshifted && !task.mask.empty()) result.shift = 0.0f;
  return result;
}

void Model::decode_film(const ops::Context& context, const Tensor<float>& latents, const Task& task,
                        NoiseStreams* noise, const FrameSink& sink) const {
  if (latents.rank() != 5 || latents.dim(0) != 1)
    throw ArgumentError(pipeline_name,
                        "latents of a film are " + to_string(latents.shape()) + ", expected [1, F, h, w, C]");
  const auto* part = family_.part(Part::Kind::autoencoder);
  if (part == nullptr) return sink(latents);  // they are the frames
  const ops::Profile::Span span(context, ops::Stage::decoder);
  const auto lease = components_.autoencoder->lease();
  FilmDecoding decoding{.noise_part = task.film.decode_noise, .chunk = task.film.decode_chunk};
  if (task.film.decode_timestep > 0.0f) decoding.timestep = task.film.decode_timestep;
  if (noise != nullptr)
    decoding.noise = [&](const Shape& shape) {
      return noise->draw(NoiseStreams::Use::decoder, shape, family_.order);
    };
  bool any = false;
  components_.autoencoder->decode_film(wrapping(context, task), format_of(task).from_model(latents), decoding,
                                       [&](const Tensor<float>& frames) {
                                         context.check_stop();
                                         ops::check_finite(frames, part->name);
                                         any = true;
                                         sink(frames);
                                       });
  if (!any) throw ArgumentError(pipeline_name, "the autoencoder gave no frame");
}

void Model::decode_films(const ops::Context& context, const Tensor<float>& latents, const Task& task,
                         NoiseStreams* noise,
                         const std::function<void(Index film, const Tensor<float>& frames)>& sink) const {
  std::vector<Tensor<float>> draws;
  for (Index n = 0; n < latents.dim(0); ++n) {
    std::optional<NoiseOfOne> own;
    if (noise != nullptr) own.emplace(*noise, latents.dim(0), n, draws);
    decode_film(context, latents.slice(n, n + 1), task, own ? &*own : nullptr,
                [&](const Tensor<float>& frames) { sink(n, frames); });
  }
}

Tensor<float> Model::decode(const ops::Context& context, const Tensor<float>& latents, const Task& task,
                            NoiseStreams* noise) const {
  if (latents.rank() == 5) {
    std::vector<Tensor<float>> frames;
    decode_films(context, latents, task, noise,
                 [&](Index, const Tensor<float>& some) { frames.push_back(some.slice(0, 1)[0]); });
    const auto films = concat_leading<float>(frames);
    return films.reshape(
        {latents.dim(0), films.dim(0) / latents.dim(0), films.dim(1), films.dim(2), films.dim(3)});
  }
  const auto* part = family_.part(Part::Kind::autoencoder);
  if (part == nullptr) return latents;  // they are the pictures
  const ops::Profile::Span span(context, ops::Stage::decoder);
  const auto& autoencoder = *components_.autoencoder;
  const auto lease = autoencoder.lease();
  auto decoded = image_by_image(format_of(task).from_model(latents), [&](const Tensor<float>& x, Index) {
    return autoencoder.decode(wrapping(context, task), x);
  });
  ops::check_finite(decoded, part->name);
  return decoded;
}

Model::Result Model::run(const ops::Context& context, const Task& task, NoiseStreams& noise,
                         const StepObserver& on_step) const {
  auto conditions = condition(context, task, *guider(task));
  auto latents = denoise(context, task, std::move(conditions), noise, on_step);
  return {latents, decode(context, latents, task, &noise)};
}

}  // namespace daguerre
