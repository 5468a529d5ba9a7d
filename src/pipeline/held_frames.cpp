#include "pipeline/held_frames.hpp"

#include <algorithm>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// A film's frames that are given: where they lie among the latents, what is there, and how closely it is
/// kept.
struct HeldFrame {
  Index at = 0;
  Tensor<float> latents;  ///< `[h, w, C]`
  float strength = 1.0f;
};

std::vector<HeldFrame> held_frames(const Preparation& of) {
  if (of.format().time_ratio != 1)
    throw ArgumentError(pipeline_name, of.family.title + " has latents of " +
                                           std::to_string(of.format().time_ratio) +
                                           " frames: single ones cannot be held");
  std::vector<HeldFrame> held;
  for (const auto& condition : of.task.film.conditions) {
    const auto latents = of.format().to_model(of.encoded(of.film_of(condition.pictures)).mean)[0];
    ops::check_finite(latents, "vae");
    const Index first = condition.at < 0 ? of.frames() + condition.at : condition.at;
    for (Index i = 0; i < latents.dim(0) && first + i < of.frames(); ++i)
      held.push_back({first + i, latents[i], static_cast<float>(condition.strength)});
  }
  return held;
}

/// `film[N, F, h, w, C]` with those frames of `known`, as far as each is kept.
Tensor<float> with_frames(const Tensor<float>& film, const Tensor<float>& known,
                          const std::vector<HeldFrame>& held) {
  auto result = film.clone();
  float* const to = result.data();
  for (const auto& frame : held)
    for (Index n = 0; n < film.dim(0); ++n) {
      const Index size = frame.latents.size(), begin = (n * film.dim(1) + frame.at) * size;
      for (Index i = begin; i < begin + size; ++i) to[i] += frame.strength * (known.data()[i] - to[i]);
    }
  return result;
}

}  // namespace

void hold_frames(const Preparation& of, const Tensor<float>& drawn, Start& start) {
  const auto held = held_frames(of);
  auto known = Tensor<float>::zeros(of.shape);
  float* const to = known.data();
  for (const auto& frame : held)
    for (Index n = 0; n < of.batch(); ++n)
      std::copy(frame.latents.data(), frame.latents.data() + frame.latents.size(),
                to + (n * of.frames() + frame.at) * frame.latents.size());
  start.latents = with_frames(start.latents, start.run->add_noise(known, drawn, start.first_call), held);
  start.revise = [=, run = start.run](const Tensor<float>& stepped, Index next_call) {
    return with_frames(stepped, next_call < run->calls() ? run->add_noise(known, drawn, next_call) : known,
                       held);
  };
}

}  // namespace daguerre
