#pragma once

#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/preparation.hpp"

namespace daguerre {

/// Throws ArgumentError for a task that a model of these parts cannot do.
void check_task(const Task& task, const Family& family, const Components& components);

/// How many frames a task's films have.
Index film_frames(const Task& task, const Family& family, const LatentFormat& format);

/// The shape of a task's latents.
Shape latent_shape(const Task& task, const Family& family, const Components& components);

/// How many calls of the denoiser `task` takes. Throws ArgumentError as `prepare` does.
Index calls_of(const Task& task, const Family& family, const Components& components);

/// The second stage as the family has it.
Start prepare(const ops::Context& context, const Task& task, const Family& family,
              const Components& components, NoiseStreams& noise);

}  // namespace daguerre
