#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"
#include "daguerre/ops/elementwise.hpp"

/// What the autoencoders of films have in common.
namespace daguerre::models::detail {

/// Mean and log variance side by side, apart.
LatentDistribution film_distribution(const ops::Context& context, const Tensor<float>& moments);

/// Throws ArgumentError unless it is `[N, F, H, W, channels]` with sides that are multiples of `multiple` and
/// `least` long at least.
void check_films(const char* who, const Shape& shape, Index channels, Index multiple, Index least = 1);
/// Throws ArgumentError unless it is `[N, F', h, w, channels]`.
void check_film_latents(const char* who, const Shape& shape, Index channels);
/// Throws ArgumentError unless there is one film.
void check_one_film(const char* who, const Shape& shape);

/// What `change` makes of every one of the films, joined.
template <class Change>
Tensor<float> film_by_film(const ops::Context& context, const Tensor<float>& films, const Change& change) {
  std::vector<Tensor<float>> changed;
  for (Index n = 0; n < films.dim(0); ++n) changed.push_back(change(films.slice(n, n + 1)));
  return changed.size() == 1 ? std::move(changed.front()) : ops::concat<float>(context, changed, 0);
}

/// All that `run` hands to the sink which it is given, one behind the other.
template <class Run>
Tensor<float> joined_frames(const ops::Context& context, const Run& run) {
  std::vector<Tensor<float>> parts;
  run(FilmSink([&](Tensor<float> frames) { parts.push_back(std::move(frames)); }));
  return parts.size() == 1 ? std::move(parts.front()) : ops::concat<float>(context, parts, 1);
}

}  // namespace daguerre::models::detail
