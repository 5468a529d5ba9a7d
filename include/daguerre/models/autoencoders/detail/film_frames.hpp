#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "daguerre/nn/conv3d.hpp"
#include "daguerre/ops/rearrange.hpp"

/// Films `[N, F, H, W, C]` as pictures, and in pieces.
namespace daguerre::models::detail {

/// Every frame a picture, `[N F, H, W, C]`.
template <class T>
Tensor<T> as_pictures(const Tensor<T>& film) {
  return film.reshape({film.dim(0) * film.dim(1), film.dim(2), film.dim(3), film.dim(4)});
}

/// Pictures as the frames of `films` films.
template <class T>
Tensor<T> as_film(const Tensor<T>& pictures, Index films) {
  return pictures.reshape({films, -1, pictures.dim(1), pictures.dim(2), pictures.dim(3)});
}

/// Frames [begin, end) of one film, `[1, F, H, W, C]`; shares its elements.
template <class T>
Tensor<T> film_frames(const Tensor<T>& film, Index begin, Index end) {
  return as_film(film[0].slice(begin, end), 1);
}

/// The frames of one film, `[1, F, H, W, C]`; they share its elements.
template <class T>
nn::FrameList<T> frame_list(const Tensor<T>& film) {
  nn::FrameList<T> frames;
  for (Index i = 0; i < film.dim(1); ++i) frames.push_back(film[0].slice(i, i + 1));
  return frames;
}

/// One film of them.
template <class T>
Tensor<T> joined_film(const ops::Context& context, const nn::FrameList<T>& frames) {
  return as_film(frames.size() == 1 ? frames.front() : ops::concat<T>(context, frames, 0), 1);
}

/// Frame `i`, which the list no longer holds then.
template <class T>
Tensor<T> taken(nn::FrameList<T>& frames, Index i) {
  return std::exchange(frames[static_cast<std::size_t>(i)], {});
}

/// Calls `take` with a few frames of the film `[1, F, H, W, C]` after the other: as many as keep what layers
/// of so many channels make of them small. Layers that remember what came before give the same as at once.
template <class Take>
void for_frames(const ops::Context& context, Tensor<float> film, Index channels, const Take& take) {
  constexpr Index most = Index{1} << 25;  // 128 MB of float32
  const Index frames = film.dim(1), frame = film.dim(2) * film.dim(3) * std::max(film.dim(4), channels);
  const Index step = std::clamp<Index>(most / std::max<Index>(frame, 1), 1, std::max<Index>(frames, 1));
  if (frames <= step) {
    take(std::move(film));
    return;
  }
  for (Index begin = 0; begin < frames; begin += step) {
    context.check_stop();
    take(film_frames(film, begin, std::min(frames, begin + step)));
  }
}

/// The same, what `change` makes of them joined.
template <class Change>
Tensor<float> in_frames(const ops::Context& context, Tensor<float> film, Index channels,
                        const Change& change) {
  std::vector<Tensor<float>> parts;
  for_frames(context, std::move(film), channels,
             [&](Tensor<float> frames) { parts.push_back(change(std::move(frames))); });
  return parts.size() == 1 ? std::move(parts.front()) : ops::concat<float>(context, parts, 1);
}

}  // namespace daguerre::models::detail
