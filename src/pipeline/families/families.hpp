#pragma once

#include "daguerre/pipeline/family.hpp"

/// The library's own families, a file each.
namespace daguerre::families {

/// Stable Diffusion 1.x and 2.x (Rombach et al. 2022), also for inpainting with nine channels.
Family stable_diffusion();
/// Stable Diffusion XL, base and refiner (Podell et al. 2023).
Family stable_diffusion_xl();
/// Latent consistency models of Stable Diffusion (Luo et al. 2023): guidance is an input.
Family latent_consistency();
/// Pictures changed as a prompt says (Brooks et al. 2023, InstructPix2Pix).
Family instruct_pix2pix();
/// Classes in latents with a transformer (Peebles & Xie 2023).
Family dit();
/// Pixels without an autoencoder (Ho et al. 2020), also with the samplers of DDIM and PNDM.
Family ddpm();

/// The prompt of Stable Diffusion: the last states of the only text encoder. Skipping its last layers
/// concerns the prompt alone, as in the reference.
Conditioning clip_condition(const ops::Context& context, const Components& components, const Task& task,
                            const Prompt& prompt, Side side);

/// What Stable Diffusion's constructors set: its latents are not confined to [-1, 1], and the models were
/// trained with timesteps counted from 1.
inline constexpr const char* sd_scheduler_overrides = R"({"steps_offset": 1, "clip_sample": false})";

}  // namespace daguerre::families
