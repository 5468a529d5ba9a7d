#pragma once

/// What LTX-Video's family tells its denoiser beside the prompt.
namespace daguerre {

/// Where each of the latents is, `[1, F, h, w, 3]`: seconds, row and column in pixels of the film.
inline constexpr const char* ltx_positions = "positions";

}  // namespace daguerre
