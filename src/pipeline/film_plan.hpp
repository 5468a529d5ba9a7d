#pragma once

#include <cstdint>
#include <vector>

#include "daguerre/pipeline/infotext_request.hpp"
#include "daguerre/pipeline/result.hpp"
#include "pipeline/plan.hpp"

/// Films between the host and the model: what a request says of them, and how their frames come back.
namespace daguerre {

/// Frames of a film, made or interpolated, at most.
inline constexpr Index most_film_frames = 100'000;

/// Refuses what a model of films does not read of a request.
void check_film_request(const Request& request, const Model& model);
/// Settles how many frames are made of a film that is given, where the request leaves it open: as many as it
/// has, less what the model cannot make, with a warning where that is less; and leaves out of it what is more
/// than the film that is made.
void settle_video(const Model& model, Plan& plan);
/// Adds to the plan, whose task has the request's film, the settings' parameters and a warning where the
/// model makes another number of frames than was asked for.
void describe_film(const Model& model, Plan& plan);
/// Throws ArgumentError where the films' latents, and their frames where they are kept, need more than
/// `memory` bytes.
void check_film_memory(const Request& request, const Model& model, const Task& task, std::uint64_t memory);
/// The settings' keys of films.
void add_film_keys(InfotextKeys& keys);

/// Decodes films' latents `[N, F, h, w, C]`: frames go to the request's callback, or into `result.images`.
/// `result` has the settings. Throws Cancelled where the callback stops.
void deliver_films(const ops::Context& context, const Model& model, const Task& task,
                   const Tensor<float>& latents, NoiseStreams& noise, const Request& request, Result& result);
/// All frames of the film `latents[1, F, h, w, C]`, by `small` where that is given.
std::vector<Image> film_preview(const ops::Context& context, const Model& model, const Task& task,
                                const Tensor<float>& latents, const Autoencoder* small);

}  // namespace daguerre
