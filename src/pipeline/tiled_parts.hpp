#pragma once

#include <memory>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/request.hpp"

/// Parts of a model that work piece by piece, behind the same interfaces.
namespace daguerre {

/// Predicts large latents tile by tile (see Tiles), `tile` by `tile` and with that overlap, in latents.
std::shared_ptr<const Denoiser> tiled(std::shared_ptr<const Denoiser> denoiser, Extent tile, Index overlap);

/// Encodes and decodes large pictures tile by tile; `tile` is a side in latents.
std::shared_ptr<const Autoencoder> tiled(std::shared_ptr<const Autoencoder> autoencoder,
                                         VaeTiling::Blend blend, Index tile);

}  // namespace daguerre
