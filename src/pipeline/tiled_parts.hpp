#pragma once

#include <memory>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/request.hpp"

/// Parts of a model that work piece by piece, behind the same interfaces.
namespace daguerre {

/// Predicts large latents tile by tile (see Tiles), `tile` by `tile` and with that overlap, in latents.
std::shared_ptr<const Denoiser> tiled(std::shared_ptr<const Denoiser> denoiser, Extent tile, Index overlap);

/// Predicts long films window by window, `frames` by `frames` latents whose beginnings lie `stride` apart at
/// most, both in whole patches of the denoiser's (`DenoiserInfo::frame_multiple`; windows are rounded up),
/// and blends them where they overlap, in every step (MultiDiffusion over time; Bar-Tal et al. 2023;
/// Lumiere's temporal super-resolution, Bar-Tal et al. 2024, sec. 3.2). Throws ArgumentError for other than 1
/// <= stride <= frames.
std::shared_ptr<const Denoiser> windowed(std::shared_ptr<const Denoiser> denoiser, Index frames,
                                         Index stride);

/// Encodes and decodes large pictures tile by tile; `tile` is a side in latents.
std::shared_ptr<const Autoencoder> tiled(std::shared_ptr<const Autoencoder> autoencoder,
                                         VaeTiling::Blend blend, Index tile);

}  // namespace daguerre
