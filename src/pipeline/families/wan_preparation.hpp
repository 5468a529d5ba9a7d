#pragma once

#include "daguerre/pipeline/preparation.hpp"

namespace daguerre::families {

/// What a run of Wan begins with: noise, a noisy film, or noise beside pictures that the film is to show.
/// Those join the channels behind a mask of their frames, and may be told the denoiser as an image encoder's
/// tokens; where the pipeline has "expand_timesteps" (Wan 2.2's TI2V), they are put into the sample before
/// every call, as tokens at timestep 0, and once more at the end. Throws ArgumentError.
void prepare_wan(const Preparation& of, Start& start);
/// What a run of VACE begins with: noise, beside a control of the film that it follows, that film's mask and
/// pictures to look at (Jiang et al. 2025, sec. 3.2). Those take the place of the first latent frames, which
/// are dropped at the end. Throws ArgumentError.
void prepare_wan_vace(const Preparation& of, Start& start);

/// 4 k + 1 frames, as the autoencoder takes them. From n others the reference makes n / 4 rounded down, times
/// 4 and 1 more, that is one more than asked for of multiples of 4.
Index wan_vace_frames(const Task& task, Index asked, const LatentFormat& format);
/// The same; of a film to start from those behind 4 k + 1 are left out.
Index wan_frames(const Task& task, Index asked, const LatentFormat& format);

}  // namespace daguerre::families
