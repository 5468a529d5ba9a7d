#pragma once

#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/request.hpp"

namespace daguerre {

/// The request in which FilmTask::interpolate is settled: the given film's frames have become conditions of a
/// longer one, which begins with what a blend of its neighbours makes of each frame between them where the
/// model can start from a film, and is made in windows where it is longer than the model's films. A request
/// without that is returned as it is. Throws ArgumentError where the model cannot keep to frames, and for
/// films that it cannot be done with.
Request interpolated(const Request& request, const Model& model);

}  // namespace daguerre
