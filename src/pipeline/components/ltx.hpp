#pragma once

/// What LTX-Video's family tells its denoiser beside the prompt.
namespace daguerre {

/// Where each token is, `[1, L, 3]`: seconds, row and column in pixels of the film.
inline constexpr const char* ltx_positions = "positions";
/// A timestep for each token, `[1, L]`, in the place of the call's.
inline constexpr const char* ltx_timesteps = "timesteps";

}  // namespace daguerre
