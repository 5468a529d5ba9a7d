#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/request.hpp"

namespace daguerre {

/// `x[N, h, w, C]` at another size, as torch.nn.functional.interpolate makes it in that mode (align_corners
/// false, no antialiasing). Throws ArgumentError for Mode::pixels.
Tensor<float> resized_latents(const ops::Context& context, const Tensor<float>& x, Index height, Index width,
                              Hires::Mode mode);

/// What follows `first`: all of it but what it begins with, in whose place are zeros. `sampler` is that of
/// the second pass. Throws ArgumentError for what is not possible.
Task second_task(const Request& request, const Task& first, const Model& model,
                 std::shared_ptr<const samplers::Sampler> sampler);
/// The same, beginning with what the first pass made.
void begin_with(const ops::Context& context, const Hires& hires, const Model& model, const Task& first,
                const Tensor<float>& latents, Task& second);

/// For the settings' text.
std::vector<std::pair<std::string, std::string>> parameters_of(const Hires& hires, const Task& first);

}  // namespace daguerre
