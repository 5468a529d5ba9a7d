#pragma once

#include "daguerre/core/shape.hpp"

namespace daguerre {

/// How a picture larger than a model was made for is worked on piece by piece (Request::tiles): in each step
/// the denoiser sees overlapping tiles of the latents, and its predictions are joined, weighted by the
/// distance from each tile's border (MultiDiffusion, Bar-Tal et al. 2023, eq. 5 with those weights). Every
/// tile has the whole prompt. A picture that fits into one tile is made as if there were none, bit for bit.
struct Tiles {
  Index size = 0;      ///< of a tile's sides in pixels; 0: what the model was trained at
  Index overlap = -1;  ///< pixels that neighbours share at least; -1: a quarter of a tile
};

/// How the autoencoder works on large pictures (Request::vae_tiling).
struct VaeTiling {
  enum class Use {
    automatic,  ///< in tiles where the whole needs more memory than there is, see LoadOptions::memory_limit
    off,
    on,
  };
  enum class Blend {
    /// Each tile by itself, as the reference's `enable_tiling` (diffusers' AutoencoderKL): a quarter of it is
    /// blended into the tiles above and to the left; tones differ from tile to tile.
    reference,
    /// Tiles see more than what is taken of them, meet in smooth weights, and share the norms' statistics,
    /// which are those of the whole picture made small.
    seamless,
  };

  Use use = Use::automatic;
  Blend blend = Blend::seamless;
  Index size =
      0;  ///< of a tile's sides in pixels; 0: what the model was trained at, 512 at most where seamless
};

}  // namespace daguerre
