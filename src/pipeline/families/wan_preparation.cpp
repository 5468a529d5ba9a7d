#include "pipeline/families/wan_preparation.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// What a film is to show, and in which of its frames.
struct ShownFrames {
  Tensor<float> film;       // [1, F, H, W, 3], grey where nothing is given
  std::vector<bool> known;  // by frame
};

Index frame_of(const FrameCondition& condition, Index frames) {
  return condition.at < 0 ? frames + condition.at : std::min(condition.at, frames - 1);
}

ShownFrames shown_frames(const Preparation& of, Index frames) {
  const auto& task = of.task;
  ShownFrames result{Tensor<float>::zeros({1, frames, task.height, task.width, 3}),
                     std::vector<bool>(static_cast<std::size_t>(frames))};
  const Index frame_size = task.height * task.width * 3;
  float* const pixels = result.film.data();
  for (const auto& condition : task.film.conditions) {
    const Index at = frame_of(condition, frames);
    const auto count = static_cast<Index>(condition.pictures.size());
    if (at + count > frames)
      throw ArgumentError(pipeline_name, "a clip of " + std::to_string(count) + " frames at frame " +
                                             std::to_string(at) + " goes beyond the film's " +
                                             std::to_string(frames));
    const auto clip = of.film_of(condition.pictures);
    std::copy_n(clip.data(), clip.size(), pixels + at * frame_size);
    std::fill_n(result.known.begin() + at, count, true);
  }
  return result;
}

/// `[1, F', h, w, ratio]`: 1 for each of the frames behind a latent frame that are known; the first latent
/// frame is one frame's, which stands for all of its own.
Tensor<float> known_mask(const Preparation& of, const std::vector<bool>& known) {
  const Index latents = of.shape[1], area = of.shape[2] * of.shape[3], ratio = of.format().time_ratio;
  Tensor<float> mask({1, latents, of.shape[2], of.shape[3], ratio});
  float* out = mask.data();
  for (Index f = 0; f < latents; ++f)
    for (Index i = 0; i < area; ++i)
      for (Index r = 0; r < ratio; ++r)
        *out++ = known[static_cast<std::size_t>(f == 0 ? 0 : 1 + (f - 1) * ratio + r)] ? 1.0f : 0.0f;
  return mask;
}

/// The latents of `film[1, F, H, W, 3]` as the denoiser sees them, without a draw: `[N, F', h, w, C]`.
Tensor<float> mean_latents(const Preparation& of, const Tensor<float>& film) {
  auto latents = of.format().to_model(of.encoded(film).mean);
  ops::check_finite(latents, "vae");
  return latents;
}

bool reads(const Preparation& of, std::string_view extra) {
  const auto& known = of.components.denoiser->info().extras;
  return std::find(known.begin(), known.end(), extra) != known.end();
}

/// The tokens of all pictures one behind the other, `[1, I, D]`.
Tensor<float> image_tokens(const Preparation& of) {
  if (of.components.image_encoder == nullptr)
    throw ArgumentError(pipeline_name, "this model reads pictures by an image encoder, which is not there");
  std::map<Index, Tensor<float>> by_frame;
  for (const auto& condition : of.task.film.conditions)
    by_frame.insert_or_assign(
        frame_of(condition, of.film_frames()),
        of.components.image_encoder->encode(of.context, condition.pictures.front()).penultimate);
  std::vector<Tensor<float>> tokens;
  for (const auto& [frame, of_picture] : by_frame) tokens.push_back(of_picture);
  return ops::concat<float>(of.context, tokens, 1);
}

/// Pictures join the channels of noise.
void prepare_beside_frames(const Preparation& of, Start& start) {
  const auto& format = of.format();
  const auto shown = shown_frames(of, of.film_frames());
  const auto latents = mean_latents(of, shown.film);
  start.concat = ops::concat_channels(of.context, repeated(known_mask(of, shown.known), of.batch()), latents);
  const auto& denoiser = of.components.denoiser->info();
  if (const Index all = format.channels + start.concat.dim(-1); denoiser.in_channels != all)
    throw ArgumentError(pipeline_name, "in_channels in " + denoiser.config + " is " +
                                           std::to_string(denoiser.in_channels) + ", but a film with its " +
                                           "pictures and their mask has " + std::to_string(all));
  if (!reads(of, wan_image_embeds)) return;
  start.tell = [tokens = image_tokens(of)](Conditioning& conditioning, Side, Index) {
    conditioning.extras.insert_or_assign(wan_image_embeds, tokens);
  };
}

/// Pictures are the film's first latent frames, at timestep 0.
void prepare_from_first_frames(const Preparation& of, Start& start) {
  const auto& conditions = of.task.film.conditions;
  if (conditions.size() != 1 || conditions.front().at != 0)
    throw ArgumentError(pipeline_name, of.family.title +
                                           " of this kind takes pictures at the film's beginning only, one "
                                           "picture or clip");
  const auto known = mean_latents(of, of.film_of(conditions.front().pictures));
  const Index frames = of.shape[1], first = known.dim(1);
  if (first > frames)
    throw ArgumentError(pipeline_name,
                        "the film is to begin with " + std::to_string(conditions.front().pictures.size()) +
                            " frames, and to have no more than " + std::to_string(of.film_frames()));
  const auto context = of.context;
  const auto with_known = [=](const Tensor<float>& latents, const Tensor<float>& begin) {
    return ops::concat<float>(context,
                              std::array{begin, ops::narrow(context, latents, 1, first, frames - first)}, 1);
  };
  const auto& denoiser = of.components.denoiser->info();
  const Index per_frame = (of.shape[2] / denoiser.side_multiple) * (of.shape[3] / denoiser.side_multiple);
  const Index patch = denoiser.frame_multiple, length = (frames / patch) * per_frame,
              done = (first / patch) * per_frame;
  start.call = [=](const PreparedCall& call, const Tensor<float>& x) {
    Tensor<float> timesteps = Tensor<float>::full({1, length}, call.timestep);
    std::fill_n(timesteps.data(), done, 0.0f);
    return call.predict(with_known(x, known.slice(call.image, call.image + 1)),
                        [&](Conditioning& conditioning) {
                          const auto branches = static_cast<Index>(conditioning.sides.size());
                          conditioning.extras.insert_or_assign(
                              token_timesteps, repeated(timesteps, std::max<Index>(branches, 1)));
                        });
  };
  start.finish = [=](const Tensor<float>& latents) { return with_known(latents, known); };
}

/// A film that noise is added to: of what the autoencoder knows of it the mean.
void prepare_from_film(const Preparation& of, Start& start) {
  const auto latents = mean_latents(of, of.film_to_start_from());
  start.latents = start.run->add_noise(latents, of.start_noise(), start.first_call);
}

/// As many as a film has that is given, where nobody asks for others.
Index asked_frames(const Task& task, Index asked) {
  const auto& video = task.film.video;
  return task.film.frames == 0 && !video.empty() ? static_cast<Index>(video.size()) : asked;
}

}  // namespace

Index wan_vace_frames(const Task& task, Index asked, const LatentFormat& format) {
  const Index frames = asked_frames(task, asked), ratio = format.time_ratio;
  return ratio == 1 || frames % ratio == 1 ? frames : frames / ratio * ratio + 1;
}

Index wan_frames(const Task& task, Index asked, const LatentFormat& format) {
  if (task.film.video.empty()) return wan_vace_frames(task, asked, format);
  const Index ratio = format.time_ratio;
  return (asked_frames(task, asked) - 1) / ratio * ratio + 1;
}

void prepare_wan(const Preparation& of, Start& start) {
  const auto& film = of.task.film;
  if (film.conditions.empty())
    return film.video.empty() ? prepare_noise(of, start) : prepare_from_film(of, start);
  if (!film.video.empty())
    throw ArgumentError(pipeline_name, "a film begins with a film or has pictures at frames, not both");
  const bool expands = of.components.index.get("expand_timesteps", false);
  if (!expands && !of.family.films.needs_condition)
    throw ArgumentError(pipeline_name, "this model makes films of text: it takes no picture at a frame");
  start.latents = affine(of.start_noise(), start.run->init_noise_sigma(), 0.0f);
  expands ? prepare_from_first_frames(of, start) : prepare_beside_frames(of, start);
}

}  // namespace daguerre::families
