#pragma once

#include "conformance/case.hpp"
#include "daguerre/models/denoisers/flux_transformer.hpp"
#include "daguerre/models/denoisers/sd3_transformer.hpp"

namespace daguerre::conformance {

/// What a network makes of a run's inputs, which are called as in diffusers or, in the original's recordings,
/// as there: x, t, context and y; img, txt, timesteps and y. For float and bfloat16.
template <class T>
Tensor<float> output_of(const models::SD3Transformer<T>& network, const ops::Context& context,
                        const Recorded& run);
template <class T>
Tensor<float> output_of(const models::FluxTransformer<T>& network, const ops::Context& context,
                        const Recorded& run);

}  // namespace daguerre::conformance
