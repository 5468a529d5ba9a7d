#include "pipeline/families/ltx_preparation.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/ops/interleaved_rotary.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/components/ltx.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// Of a clip that is not at the first frame, those that come before the film's.
constexpr Index ltx_prefix_frames = 2;
/// Timesteps of pure noise.
constexpr float ltx_noise_time = 1000.0f;
/// By which times and strengths are compared.
constexpr float ltx_tolerance = 1e-6f;

double frame_rate_of(const Preparation& of) {
  return of.task.film.frame_rate > 0.0 ? of.task.film.frame_rate : of.family.defaults.frame_rate;
}

/// Tells every side where the latents `[N, F, h, w, C]` are, by `positions[F h w, 3]`.
void tell_positions(const Tensor<float>& positions, const Shape& latents, Start& start) {
  const auto all = positions.reshape(latents.with(0, 1).with(4, 3));
  start.tell = [all](Conditioning& conditioning, Side, Index) {
    conditioning.extras.insert_or_assign(ltx_positions, all);
  };
}

/// What a call tells the denoiser: a time for each frame of `x[1, F, h, w, C]`.
std::function<void(Conditioning&)> frame_times(const Tensor<float>& x, const std::vector<float>& times) {
  const Index area = x.dim(2) * x.dim(3);
  Tensor<float> all({1, static_cast<Index>(times.size()) * area});
  float* out = all.data();
  for (const float time : times) out = std::fill_n(out, area, time);
  return [all](Conditioning& conditioning) { conditioning.extras.insert_or_assign(token_timesteps, all); };
}

/// a, and as much of b as `weight` says (torch.lerp).
Tensor<float> mixed(const Tensor<float>& a, const Tensor<float>& b, float weight) {
  Tensor<float> result(a.shape());
  std::transform(a.data(), a.data() + a.size(), b.data(), result.data(), [=](float from, float to) {
    return weight < 0.5f ? from + weight * (to - from) : to - (to - from) * (1.0f - weight);
  });
  return result;
}

/// Copies frames `[N, f, …]` over those of `film[N, F, …]` from `begin` on.
void put_frames(const Tensor<float>& frames, Index begin, Tensor<float>& film) {
  const Index frame = film.size() / (film.dim(0) * film.dim(1)), count = frames.dim(1) * frame;
  float* const out = film.data();
  for (Index n = 0; n < film.dim(0); ++n)
    std::copy_n(frames.data() + n * count, count, out + (n * film.dim(1) + begin) * frame);
}

/// The film begins with that picture.
void prepare_first_frame(const Preparation& of, const Image& picture, Start& start) {
  if (of.frames() < 2)
    throw ArgumentError(pipeline_name, "a film of " + std::to_string(of.film_frames()) +
                                           " frames is the picture that it begins with, and nothing else");
  const auto held = of.encode(of.film_of(std::span(&picture, 1)));
  const auto noise = affine(of.start_noise(), start.run->init_noise_sigma(), 0.0f);
  const Index others = of.frames() - 1;
  start.latents = ops::narrow(of.context, noise, 1, 1, others);
  start.call = [held, others, context = of.context](const PreparedCall& call, const Tensor<float>& x) {
    const auto first = held.slice(call.image, call.image + 1);
    const auto film = ops::concat<float>(context, std::array{first, x}, 1);
    std::vector<float> times(static_cast<std::size_t>(others) + 1, call.timestep);
    times.front() = 0.0f;
    return ops::narrow(context, call.predict(film, frame_times(film, times)), 1, 1, others);
  };
  start.finish = [held, context = of.context](const Tensor<float>& latents) {
    return ops::concat<float>(context, std::array{held, latents}, 1);
  };
}

/// A film's latents with what is known of them.
struct KnownFrames {
  Tensor<float> latents;         // [N, F, h, w, C]
  std::vector<float> strengths;  // of each frame; 0: nothing is known
  std::vector<float> times;      // of each frame, in frames of the film
  std::vector<bool> added;       // whether the frame is none of the film's

  bool is_held(std::size_t frame, float timestep) const {
    return !(timestep / ltx_noise_time - ltx_tolerance < 1.0f - strengths[frame]);
  }
  bool is_hard(std::size_t frame) const { return strengths[frame] > 1.0f - ltx_tolerance; }
};

KnownFrames frames_from(Tensor<float> latents, float strength, Index at, Index ratio, bool added) {
  KnownFrames result{std::move(latents), {}, {}, {}};
  for (Index i = 0; i < result.latents.dim(1); ++i) {
    result.strengths.push_back(strength);
    result.times.push_back(static_cast<float>(at + std::max<Index>(i * ratio + 1 - ratio, 0)));
    result.added.push_back(added);
  }
  return result;
}

/// Reads a condition into the film, or gives what comes before it.
std::optional<KnownFrames> place(const Preparation& of, const FrameCondition& condition, KnownFrames& film) {
  const Index ratio = of.format().time_ratio, frames = of.film_frames();
  const Index at = condition.at < 0 ? frames + condition.at : condition.at;
  const auto strength = static_cast<float>(condition.strength);
  // As much of a clip as the film has room for, in whole latent frames.
  const auto count =
      (std::min<Index>(static_cast<Index>(condition.pictures.size()), frames - at) - 1) / ratio;
  const auto known =
      of.encode(of.film_of(std::span(condition.pictures).first(static_cast<std::size_t>(count * ratio + 1))));
  const auto take_place = [&](const Tensor<float>& part, Index begin) {
    const auto before = ops::narrow(of.context, film.latents, 1, begin, part.dim(1));
    put_frames(mixed(before, part, strength), begin, film.latents);
    std::fill_n(film.strengths.begin() + begin, part.dim(1), strength);
  };
  if (at == 0) {
    take_place(known, 0);
    return std::nullopt;
  }
  const Index prefix = std::min(known.dim(1), ltx_prefix_frames), rest = known.dim(1) - prefix;
  if (rest > 0) take_place(ops::narrow(of.context, known, 1, prefix, rest), at / ratio + prefix);
  const auto before = ops::narrow(of.context, known, 1, 0, prefix);
  const auto drawn = of.noise.draw(NoiseStreams::Use::initial, before.shape(), of.family.order);
  return frames_from(mixed(drawn, before, strength), strength, at, ratio, true);
}

/// The frames in another order.
KnownFrames reordered(const ops::Context& context, const KnownFrames& frames,
                      const std::vector<std::size_t>& order) {
  KnownFrames result;
  std::vector<Tensor<float>> parts;
  for (const auto i : order) {
    parts.push_back(ops::narrow(context, frames.latents, 1, static_cast<Index>(i), 1));
    result.strengths.push_back(frames.strengths[i]);
    result.times.push_back(frames.times[i]);
    result.added.push_back(frames.added[i]);
  }
  result.latents = ops::concat<float>(context, parts, 1);
  return result;
}

/// The film's frames behind all that are added; where the model sees windows of them, each added one is
/// before the film's that it belongs to.
KnownFrames known_frames(const Preparation& of, float noise_level) {
  auto film =
      frames_from(affine(of.start_noise(), noise_level, 0.0f), 0.0f, 0, of.format().time_ratio, false);
  std::vector<Tensor<float>> parts;
  KnownFrames all;
  const auto append = [&](const KnownFrames& part) {
    parts.push_back(part.latents);
    all.strengths.insert(all.strengths.end(), part.strengths.begin(), part.strengths.end());
    all.times.insert(all.times.end(), part.times.begin(), part.times.end());
    all.added.insert(all.added.end(), part.added.begin(), part.added.end());
  };
  for (const auto& condition : of.task.film.conditions)
    if (const auto before = place(of, condition, film)) append(*before);
  append(film);
  all.latents = ops::concat<float>(of.context, parts, 1);
  if (of.task.film.windows.frames == 0) return all;
  std::vector<std::size_t> order(all.times.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return all.times[a] < all.times[b]; });
  return reordered(of.context, all, order);
}

/// Frames of full strength with new noise, by the square of the time, so that what moves can begin there.
void add_condition_noise(const KnownFrames& known, float level, float timestep, FilmOrder order,
                         NoiseStreams& noise, Tensor<float>& latents) {
  const auto& shape = latents.shape();
  const float time = timestep / ltx_noise_time, square = time * time;
  const auto drawn =
      noise.draw(NoiseStreams::Use::initial, {shape[0], shape[1] * shape[2] * shape[3], shape[4]}, order);
  const Index frame = shape[2] * shape[3] * shape[4];
  float* const out = latents.data();
  for (Index n = 0; n < shape[0]; ++n)
    for (Index f = 0; f < shape[1]; ++f) {
      if (!known.is_hard(static_cast<std::size_t>(f))) continue;
      for (Index i = (n * shape[1] + f) * frame, end = i + frame; i < end; ++i)
        out[i] = known.latents.data()[i] + level * drawn.data()[i] * square;
    }
}

Tensor<float> positions_of(const KnownFrames& known, const Preparation& of) {
  const auto& shape = known.latents.shape();
  const auto side = static_cast<float>(of.format().space_ratio);
  auto positions = ops::grid_positions({shape[1], shape[2], shape[3]}, std::array{1.0f, side, side});
  const auto seconds = static_cast<float>(1.0 / frame_rate_of(of));
  float* const out = positions.data();
  for (Index token = 0; token < positions.dim(0); ++token)
    out[token * 3] = known.times[static_cast<std::size_t>(token / (shape[2] * shape[3]))] * seconds;
  return positions;
}

}  // namespace

void prepare_ltx(const Preparation& of, Start& start) {
  const auto& conditions = of.task.film.conditions;
  const bool begins_with_picture = conditions.size() == 1 && conditions.front().pictures.size() == 1 &&
                                   conditions.front().at == 0 && conditions.front().strength == 1.0;
  if (!conditions.empty() && !begins_with_picture) return prepare_ltx_conditions(of, start);
  if (begins_with_picture)
    prepare_first_frame(of, conditions.front().pictures.front(), start);
  else
    prepare_noise(of, start);
  const auto side = static_cast<float>(of.format().space_ratio);
  const auto seconds = static_cast<float>(static_cast<double>(of.format().time_ratio) / frame_rate_of(of));
  tell_positions(
      ops::grid_positions({of.frames(), of.shape[2], of.shape[3]}, std::array{seconds, side, side}), of.shape,
      start);
}

void prepare_ltx_conditions(const Preparation& of, Start& start) {
  const auto known = std::make_shared<const KnownFrames>(known_frames(of, start.run->init_noise_sigma()));
  start.latents = known->latents;
  tell_positions(positions_of(*known, of), known->latents.shape(), start);
  if (of.task.film.conditions.empty()) return;

  const auto noisy = [known, level = of.task.film.condition_noise, order = of.family.order,
                      &noise = of.noise](Tensor<float>& latents, float timestep) {
    if (level > 0.0f) add_condition_noise(*known, level, timestep, order, noise, latents);
  };
  const auto times = [run = start.run](Index call) {
    return run->timesteps()[static_cast<std::size_t>(call)];
  };
  noisy(start.latents, times(start.first_call));
  start.call = [known](const PreparedCall& call, const Tensor<float>& x) {
    std::vector<float> told;
    for (const float strength : known->strengths)
      told.push_back(std::min(call.timestep, (1.0f - strength) * ltx_noise_time));
    auto predicted = call.predict(x, frame_times(x, told));
    // What is held stays.
    const auto still = Tensor<float>::zeros(predicted.shape().with(1, 1));
    for (std::size_t f = 0; f < known->strengths.size(); ++f)
      if (known->is_held(f, call.timestep)) put_frames(still, static_cast<Index>(f), predicted);
    return predicted;
  };
  // The latents before the step, of which those that are held come back: not every sampler leaves them alone.
  const auto before = std::make_shared<Tensor<float>>(start.latents);
  start.revise = [=, context = of.context, end = start.end_call](const Tensor<float>& stepped,
                                                                 Index next_call) {
    auto latents = stepped;
    for (std::size_t f = 0; f < known->strengths.size(); ++f)
      if (known->is_held(f, times(next_call - 1)))
        put_frames(ops::narrow(context, *before, 1, static_cast<Index>(f), 1), static_cast<Index>(f),
                   latents);
    if (next_call < end) noisy(latents, times(next_call));
    *before = latents;
    return latents;
  };
  start.finish = [known, context = of.context](const Tensor<float>& latents) {
    std::vector<Tensor<float>> film;
    for (std::size_t f = 0; f < known->added.size(); ++f)
      if (!known->added[f]) film.push_back(ops::narrow(context, latents, 1, static_cast<Index>(f), 1));
    return ops::concat<float>(context, film, 1);
  };
}

}  // namespace daguerre::families
