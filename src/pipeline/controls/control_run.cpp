#include <algorithm>
#include <cmath>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "pipeline/controls/controls.hpp"

namespace daguerre {
namespace {

using Maps = std::vector<Tensor<float>>;

Maps sum_of_maps(const ops::Context& context, const Maps& a, const Maps& b) {
  if (a.empty() || b.empty()) return a.empty() ? b : a;
  if (a.size() != b.size())
    throw ArgumentError("control", std::to_string(a.size()) + " maps of one network and " +
                                       std::to_string(b.size()) + " of another do not add up");
  Maps result;
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(ops::add(context, a[i], b[i]));
  return result;
}

/// The same with one residual for each block, where that is not how both have them already.
models::TransformerFeatures sum_of_residuals(const ops::Context& context,
                                             const models::TransformerFeatures& a,
                                             const models::TransformerFeatures& b,
                                             const FeatureSizes& takes) {
  const auto spread = [&](const models::TransformerFeatures& from) {
    const auto layers = static_cast<std::size_t>(takes.layers),
               single_layers = static_cast<std::size_t>(takes.single_layers);
    models::TransformerFeatures result;
    for (std::size_t i = 0; i < layers; ++i)
      if (const auto* one = from.residual(i, layers)) result.residuals.push_back(*one);
    for (std::size_t i = 0; i < single_layers; ++i)
      if (const auto* one = from.single_residual(i, single_layers)) result.single_residuals.push_back(*one);
    return result;
  };
  const auto numbers_agree = [](const Maps& one, const Maps& other) {
    return one.empty() || other.empty() || one.size() == other.size();
  };
  const bool alike = (a.sharing == b.sharing || a.residuals.empty() || b.residuals.empty()) &&
                     numbers_agree(a.residuals, b.residuals) &&
                     numbers_agree(a.single_residuals, b.single_residuals);
  const auto &first = alike ? a : spread(a), &second = alike ? b : spread(b);
  models::TransformerFeatures result;
  result.residuals = sum_of_maps(context, first.residuals, second.residuals);
  result.single_residuals = sum_of_maps(context, first.single_residuals, second.single_residuals);
  result.sharing = first.residuals.empty() ? second.sharing : first.sharing;
  return result;
}

/// The branches of `x` that `wanted` says, one behind the other.
Tensor<float> picked(const Tensor<float>& x, const std::vector<Index>& wanted) {
  if (x.empty()) return x;
  Maps rows;
  for (const Index row : wanted) rows.push_back(x.slice(row, row + 1));
  return concat_leading<float>(rows);
}

Conditioning picked(const Conditioning& all, const std::vector<Index>& wanted) {
  Conditioning result;
  result.context = picked(all.context, wanted);
  result.pooled = picked(all.pooled, wanted);
  result.mask = picked(all.mask, wanted);
  for (const auto& [name, tensor] : all.extras) result.extras.emplace(name, picked(tensor, wanted));
  result.windows = all.windows;
  return result;
}

/// The inverse: zeros for the branches that were left out.
void put_back(Tensor<float>& x, const std::vector<Index>& wanted, Index branches) {
  if (x.empty()) return;
  Maps rows(static_cast<std::size_t>(branches), Tensor<float>::zeros(x.shape().with(0, 1)));
  for (std::size_t i = 0; i < wanted.size(); ++i)
    rows[static_cast<std::size_t>(wanted[i])] = x.slice(static_cast<Index>(i), static_cast<Index>(i) + 1);
  x = concat_leading<float>(rows);
}

template <class Change>
void change_all(Features& features, const Change& change) {
  for (auto* maps : {&features.unet.down_residuals, &features.unet.down_features,
                     &features.transformer.residuals, &features.transformer.single_residuals})
    for (auto& map : *maps) change(map);
  change(features.unet.mid_residual);
}

}  // namespace

std::vector<Tensor<float>> Control::read_film(const ops::Context& context, const Tensor<float>& pictures,
                                              std::span<const Index> frames, Index count) const {
  const Index given = pictures.dim(0);
  const auto place = [&](Index frame) {
    if (frames.empty()) return given == 1 ? Index{0} : frame;
    return static_cast<Index>(std::find(frames.begin(), frames.end(), frame) - frames.begin());
  };
  std::vector<Maps> rows;
  for (Index n = 0; n < given; ++n) rows.push_back(read(context, pictures.slice(n, n + 1)));
  Maps result;
  for (std::size_t map = 0; map < rows.front().size(); ++map) {
    Maps film;
    for (Index frame = 0; frame < count; ++frame) {
      if (place(frame) >= given)
        throw ArgumentError("control", "a " + info().title + " needs a picture for each of the " +
                                           std::to_string(count) + " frames, or one for all: frame " +
                                           std::to_string(frame) + " has none");
      film.push_back(rows[static_cast<std::size_t>(place(frame))][map]);
    }
    const auto joined = concat_leading<float>(film);
    result.push_back(joined.reshape({1, count, joined.dim(1), joined.dim(2), joined.dim(3)}));
  }
  return result;
}

Tensor<float> for_each_branch(const Tensor<float>& x, Index count) {
  if (x.dim(0) == count) return x;
  return concat_leading<float>(std::vector<Tensor<float>>(static_cast<std::size_t>(count), x));
}

Features sum_of(const ops::Context& context, const Features& a, const Features& b,
                const FeatureSizes& takes) {
  if (a.empty() || b.empty()) return a.empty() ? b : a;
  Features result;
  result.unet.down_residuals = sum_of_maps(context, a.unet.down_residuals, b.unet.down_residuals);
  result.unet.down_features = sum_of_maps(context, a.unet.down_features, b.unet.down_features);
  const auto &mid = a.unet.mid_residual, &other = b.unet.mid_residual;
  result.unet.mid_residual = mid.empty() ? other : other.empty() ? mid : ops::add(context, mid, other);
  result.transformer = sum_of_residuals(context, a.transformer, b.transformer, takes);
  return result;
}

ControlRun::ControlRun(const std::vector<ControlTask>& tasks, const Autoencoder& autoencoder,
                       const DenoiserInfo& denoiser, float guidance_scale, bool guided)
    : tasks_(tasks),
      autoencoder_(autoencoder),
      denoiser_(denoiser),
      guidance_scale_(guidance_scale),
      guided_(guided),
      readings_(tasks.size()) {}

ControlRun::Reading ControlRun::read_latents(const ops::Context& context, const ControlTask& task,
                                             const Tensor<float>& drawn,
                                             const Tensor<float>& drawn_for_negative, Index image) const {
  const Index picture = task.image.dim(0) == 1 ? 0 : image;
  const auto encoded = autoencoder_.encode(context, task.image.slice(picture, picture + 1));
  auto format = autoencoder_.info();
  if (task.control->info().reads == ControlInfo::Reads::unshifted_latents) format.shift = 0.0f;
  const auto sample = [&](const Tensor<float>& noise) {
    auto latents = encoded.std.empty()
                       ? encoded.mean
                       : ops::multiply_add(context, encoded.mean, encoded.std, noise.slice(image, image + 1));
    latents = format.to_model(latents);
    ops::check_finite(latents, "vae");
    return task.control->read(context, latents);
  };
  Reading result{sample(drawn), {}};
  if (!drawn_for_negative.empty() && !encoded.std.empty()) result.of_negative = sample(drawn_for_negative);
  return result;
}

std::vector<ControlRun::Reading> ControlRun::read_film(const ops::Context& context, const ControlTask& task,
                                                       const Shape& latents, NoiseStreams& noise) const {
  const auto& control = *task.control;
  const Index count = latents[1];
  if (control.info().reads == ControlInfo::Reads::pixels)
    return {{control.read_film(context, task.image, task.frames, count), {}}};
  std::vector<Tensor<float>> means, deviations;
  for (Index n = 0; n < task.image.dim(0); ++n) {
    auto encoded = autoencoder_.encode(context, task.image.slice(n, n + 1));
    means.push_back(std::move(encoded.mean));
    if (!encoded.std.empty()) deviations.push_back(std::move(encoded.std));
  }
  const auto mean = concat_leading<float>(means);
  const auto& s = mean.shape();
  Tensor<float> drawn;
  if (!deviations.empty())
    drawn = noise.draw(NoiseStreams::Use::autoencoder, {latents[0], s[0], s[1], s[2], s[3]},
                       FilmOrder::frames_first);
  std::vector<Reading> result;
  for (Index film = 0; film < (drawn.empty() ? 1 : latents[0]); ++film) {
    const auto pictures =
        drawn.empty() ? mean
                      : ops::multiply_add(context, mean, concat_leading<float>(deviations), drawn[film]);
    auto seen = autoencoder_.info().to_model(pictures);
    ops::check_finite(seen, "vae");
    result.push_back({control.read_film(context, seen, task.frames, count), {}});
  }
  return result;
}

void ControlRun::read(const ops::Context& context, const Shape& latents, NoiseStreams& noise,
                      bool before_noise) {
  using Reads = ControlInfo::Reads;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const auto& task = tasks_[i];
    const auto reads = task.control->info().reads;
    if ((reads != Reads::unshifted_latents) != before_noise) continue;
    const ops::Profile::Span span(context, ops::Stage::image_encoder);
    if (latents.rank() == 5) {
      readings_[i] = read_film(context, task, latents, noise);
      continue;
    }
    if (reads == Reads::pixels) {
      for (Index n = 0; n < task.image.dim(0); ++n)
        readings_[i].push_back({task.control->read(context, task.image.slice(n, n + 1)), {}});
      continue;
    }
    Tensor<float> negative;
    if (guided_ && reads == Reads::unshifted_latents)
      negative = noise.draw(NoiseStreams::Use::autoencoder, latents);
    const auto drawn = noise.draw(NoiseStreams::Use::autoencoder, latents);
    for (Index n = 0; n < latents[0]; ++n)
      readings_[i].push_back(read_latents(context, task, drawn, negative, n));
  }
}

bool ControlRun::is_on(const ControlTask& task, Index index, Index total) const {
  const auto part = [&](Index step) { return static_cast<double>(step) / static_cast<double>(total); };
  return task.scale != 0.0f && !(part(index) < task.start) && !(part(index + 1) > task.end);
}

bool ControlRun::is_on(Index index, Index total) const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [&](const ControlTask& task) { return is_on(task, index, total); });
}

Features ControlRun::of_one(const ops::Context& context, const ControlTask& task, const Reading& reading,
                            const Tensor<float>& x, const Conditioning& conditioning, float timestep) const {
  const auto& info = task.control->info();
  const bool guesses = task.guess_mode || info.guesses_always;
  const ControlCall call{.timestep = timestep,
                         .scale = task.scale,
                         .guidance_scale = guidance_scale_,
                         .guess_mode = guesses,
                         .mode = task.mode};
  const auto is_positive = [&](Index branch) {
    const auto& sides = conditioning.sides;
    return sides.size() != static_cast<std::size_t>(x.dim(0)) ||
           sides[static_cast<std::size_t>(branch)] == Side::positive;
  };
  std::vector<Index> wanted;
  for (Index branch = 0; branch < x.dim(0); ++branch)
    if (!guesses || is_positive(branch)) wanted.push_back(branch);
  const bool all = static_cast<Index>(wanted.size()) == x.dim(0);
  if (wanted.empty()) return {};
  auto read = reading.maps;
  if (!reading.of_negative.empty())
    for (std::size_t i = 0; i < read.size(); ++i) {
      Maps branches;
      for (const Index branch : wanted)
        branches.push_back(is_positive(branch) ? reading.maps[i] : reading.of_negative[i]);
      read[i] = concat_leading<float>(branches);
    }
  auto features = all ? (*task.control)(context, read, x, conditioning, call)
                      : (*task.control)(context, read, picked(x, wanted), picked(conditioning, wanted), call);
  if (!all) change_all(features, [&](Tensor<float>& map) { put_back(map, wanted, x.dim(0)); });
  change_all(features, [&](Tensor<float>& map) {
    if (!map.empty()) ops::check_finite(map, info.title + (info.name.empty() ? "" : " " + info.name));
  });
  return features;
}

Features ControlRun::operator()(const ops::Context& context, const Tensor<float>& x,
                                const Conditioning& conditioning, float timestep, Index image, Index index,
                                Index total) const {
  Features sum;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (!is_on(tasks_[i], index, total)) continue;
    const auto& readings = readings_[i];
    const auto& read = readings.at(readings.size() == 1 ? 0 : static_cast<std::size_t>(image));
    sum = sum_of(context, sum, of_one(context, tasks_[i], read, x, conditioning, timestep), denoiser_.takes);
  }
  return sum;
}

}  // namespace daguerre
