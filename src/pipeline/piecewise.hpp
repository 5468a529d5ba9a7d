#pragma once

#include <cstdint>
#include <optional>

#include "daguerre/pipeline/pipeline_info.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {

/// What the settings say of tiles that have the sides the model was trained at, where these differ.
inline constexpr const char* trained_tile = "as trained";

/// Bytes that the autoencoder may take: what the weights that are kept leave of `limit`; without one 4 GB
/// where the denoiser is to work in tiles, since who asks for these wants memory to be bounded; else nullopt.
/// Never what the machine has free: the same order is to give the same picture.
std::optional<std::uint64_t> memory_for_decoding(std::uint64_t limit, const PipelineInfo& info,
                                                 const Request& request);

/// The model with parts that work piece by piece, as far as the request asks for it or `memory` does; adds to
/// the plan's parameters and warnings. Throws ArgumentError for tiles that are not possible.
Model piecewise(const Model& model, const Request& request, Plan& plan, std::optional<std::uint64_t> memory);

}  // namespace daguerre
