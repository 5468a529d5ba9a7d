#pragma once

#include "daguerre/models/denoisers/flux_transformer.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/conditioning.hpp"

/// Latents as FLUX.1 reads them: tokens of 2 x 2, channel by channel.
namespace daguerre {

constexpr Index flux_patch = 2;
constexpr Index flux_patch_area = flux_patch * flux_patch;
constexpr auto flux_order = ops::PatchOrder::channels_rows_columns;

constexpr const char* flux_guidance = "guidance";

/// Where the patches of `latents[N, h, w, C]` are, `[h / 2 * w / 2, axes]`: row and column on the last two
/// axes, on the first which picture it is: 0 the one that is made, 1 one that it is made from.
Tensor<float> picture_ids(const Tensor<float>& latents, Index axes, float picture);

/// What the network reads of `sample[N, h, w, C]` and the prompt; `time` in [0, 1] is borrowed, and so is the
/// guidance scale in the conditioning, where there is one.
models::FluxInputs flux_inputs(const ops::Context& context, const Tensor<float>& sample, const float& time,
                               const Conditioning& conditioning, Index axes);

}  // namespace daguerre
