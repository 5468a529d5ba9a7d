#pragma once

#include <cstdint>
#include <optional>

#include "daguerre/pipeline/pipeline_info.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {

/// Bytes that the autoencoder may take beside the weights: what `limit` leaves of them, or three quarters of
/// what the machine has free; nullopt where that is not known.
std::optional<std::uint64_t> memory_for_decoding(std::uint64_t limit, const PipelineInfo& info);

/// The model with parts that work piece by piece, as far as the request asks for it or `memory` does; adds to
/// the plan's parameters and warnings. Throws ArgumentError for tiles that are not possible.
Model piecewise(const Model& model, const Request& request, Plan& plan, std::optional<std::uint64_t> memory);

}  // namespace daguerre
