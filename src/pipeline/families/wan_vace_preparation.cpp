#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/interpolate.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/families/wan_preparation.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// The film that is followed and where it is to be made anew: frames that it does not have are.
struct FollowedFilm {
  Tensor<float> film;  // [1, F, H, W, 3]
  Tensor<float> mask;  // [F, H, W, 1] in [0, 1]
};

FollowedFilm followed_film(const Preparation& of, Index frames) {
  const auto& task = of.task;
  const auto& video = task.film.video;
  const auto& masks = task.film.mask;
  if (video.empty() && !masks.empty()) throw ArgumentError(pipeline_name, "a mask of a film needs the film");
  if (masks.size() > 1 && masks.size() != video.size())
    throw ArgumentError(pipeline_name, std::to_string(masks.size()) + " masks for a film of " +
                                           std::to_string(video.size()) +
                                           " frames; expected one, or one for each");
  FollowedFilm result{Tensor<float>::zeros({1, frames, task.height, task.width, 3}),
                      Tensor<float>::full({frames, task.height, task.width, 1}, 1.0f)};
  const auto given = std::min(frames, static_cast<Index>(video.size()));
  if (given == 0) return result;
  const auto film = of.film_of(std::span(video).first(static_cast<std::size_t>(given)));
  std::copy_n(film.data(), film.size(), result.film.data());
  float* const mask = result.mask.data();
  const Index area = task.height * task.width;
  for (Index f = 0; f < given && !masks.empty(); ++f) {
    const auto& picture = masks[masks.size() == 1 ? 0 : static_cast<std::size_t>(f)];
    const auto grey = to_unit_tensor(picture.to_channels(1).resized(task.width, task.height));
    std::copy_n(grey.data(), area, mask + f * area);
  }
  return result;
}

/// The latents of what stays, beside those of what is made anew.
Tensor<float> both_halves(const Preparation& of, const FollowedFilm& followed) {
  const auto encoded = [&](bool anew) {
    Tensor<float> half(followed.film.shape());
    float* const out = half.data();
    for (Index i = 0; i < half.size(); ++i) {
      const bool masked = followed.mask.data()[i / 3] > 0.5f;
      out[i] = masked == anew ? followed.film.data()[i] : 0.0f;
    }
    return of.format().to_model(of.encoded(half).mean.slice(0, 1));
  };
  if (of.task.film.video.empty()) {  // grey all over
    const auto nothing = encoded(true);
    return ops::concat_channels(of.context, nothing, nothing);
  }
  return ops::concat_channels(of.context, encoded(false), encoded(true));
}

/// The mask's pixels behind each latent as channels, row after row, `[1, F', h, w, ratio ratio]`: of those
/// frames of the film that are nearest to the latent ones.
Tensor<float> wan_mask_pixels(const Preparation& of, const Tensor<float>& mask) {
  const Index ratio = of.format().space_ratio, frames = mask.dim(0), latents = of.shape[1];
  const float step = static_cast<float>(frames) / static_cast<float>(latents);
  std::vector<Tensor<float>> picked;
  for (Index f = 0; f < latents; ++f) {
    const auto at = static_cast<Index>((static_cast<float>(f) + 0.5f) * step);
    picked.push_back(mask.slice(std::min(at, frames - 1), std::min(at, frames - 1) + 1));
  }
  return ops::patchify(of.context, concat_leading<float>(picked), ratio)
      .reshape({1, latents, of.shape[2], of.shape[3], ratio * ratio});
}

/// A picture fitted into the middle of a white one of the film's size, `[1, 1, H, W, 3]`.
Tensor<float> on_white(const Preparation& of, const Image& picture) {
  const Index height = of.task.height, width = of.task.width, ratio = of.format().space_ratio;
  const auto multiple = [&](Index side) { return std::max(side / ratio * ratio, ratio); };
  const auto whole =
      to_tensor(picture.to_channels(3).resized(multiple(picture.width()), multiple(picture.height())));
  const double scale = std::min(static_cast<double>(height) / static_cast<double>(whole.dim(1)),
                                static_cast<double>(width) / static_cast<double>(whole.dim(2)));
  const auto scaled = [&](Index side) {
    return std::max<Index>(static_cast<Index>(static_cast<double>(side) * scale), 1);
  };
  const Index fitted_height = scaled(whole.dim(1)), fitted_width = scaled(whole.dim(2));
  const auto fitted = ops::interpolate(of.context, whole, fitted_height, fitted_width);
  const Index top = (height - fitted_height) / 2, left = (width - fitted_width) / 2;
  auto canvas = Tensor<float>::full({1, 1, height, width, 3}, 1.0f);
  float* const out = canvas.data();
  for (Index y = 0; y < fitted_height; ++y)
    std::copy_n(fitted.data() + y * fitted_width * 3, fitted_width * 3, out + ((top + y) * width + left) * 3);
  return canvas;
}

}  // namespace

void prepare_wan_vace(const Preparation& of, Start& start) {
  const auto& film = of.task.film;
  const auto followed = followed_film(of, of.film_frames());
  auto control =
      ops::concat_channels(of.context, both_halves(of, followed), wan_mask_pixels(of, followed.mask));
  // The last of the pictures to look at comes first. They are nothing that is made anew.
  const Index channels = of.format().channels, rest = control.dim(-1) - channels;
  for (const auto& picture : film.references) {
    const auto latents = of.format().to_model(of.encoded(on_white(of, picture)).mean.slice(0, 1));
    const auto nothing = Tensor<float>::zeros({1, 1, of.shape[2], of.shape[3], rest});
    control = ops::concat<float>(of.context,
                                 std::array{ops::concat_channels(of.context, latents, nothing), control}, 1);
  }
  ops::check_finite(control, "vae");

  const auto looked_at = static_cast<Index>(film.references.size());
  auto wide = of;
  wide.shape = of.shape.with(1, of.shape[1] + looked_at);
  start.latents = affine(wide.start_noise(), start.run->init_noise_sigma(), 0.0f);
  const auto scales = film.scales.empty() ? std::vector{1.0f} : film.scales;
  const auto scale = Tensor<float>::copy_of({1, static_cast<Index>(scales.size())}, scales);
  start.tell = [=](Conditioning& conditioning, Side, Index) {
    conditioning.extras.insert_or_assign(wan_control, control);
    conditioning.extras.insert_or_assign(wan_control_scale, scale);
  };
  if (looked_at == 0) return;
  start.finish = [=, context = of.context, frames = of.shape[1]](const Tensor<float>& latents) {
    return ops::narrow(context, latents, 1, looked_at, frames);
  };
}

}  // namespace daguerre::families
