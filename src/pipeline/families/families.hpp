#pragma once

#include "daguerre/pipeline/family.hpp"

/// The library's own families, a file each.
namespace daguerre::families {

/// Stable Diffusion 1.x and 2.x (Rombach et al. 2022), also for inpainting with nine channels.
Family stable_diffusion();
/// Stable Diffusion XL, base and refiner (Podell et al. 2023).
Family stable_diffusion_xl();
/// Films by motion modules in a U-Net of Stable Diffusion (Guo et al. 2023, AnimateDiff), also from a film
/// and, with SparseCtrl, from pictures at some frames.
Family animatediff();
Family animatediff_xl();
/// Latent consistency models of Stable Diffusion (Luo et al. 2023): guidance is an input.
Family latent_consistency();
/// Pictures changed as a prompt says (Brooks et al. 2023, InstructPix2Pix).
Family instruct_pix2pix();
/// Stable Diffusion 3 and 3.5 (Esser et al. 2024), with T5 or without.
Family stable_diffusion_3();
/// FLUX.1-dev and -schnell (Black Forest Labs 2024): the first reads the guidance scale, the second none.
Family flux();
/// FLUX.1-Fill: paints what a mask says, the picture and the mask's pixels joining the channels.
Family flux_fill();
/// FLUX.1-Depth and -Canny: a picture of depths or edges joins the channels.
Family flux_control();
/// FLUX.1-Kontext (Labs et al. 2025): looks at a picture while it makes another one.
Family flux_kontext();
/// DeepFloyd IF's first stage: pixels from a prompt that T5 reads, or from a picture (after Saharia et al.
/// 2022, Imagen).
Family deepfloyd_if();
/// Its second stage: a small picture made large in pixels, told the prompt and how much noise was added. Also
/// for smaller models of the kind, which CLIP or nothing tells a prompt.
Family deepfloyd_if_upscale();
/// Stable Diffusion's x4 upscaler: a small picture's pixels join the latents of the large one.
Family stable_diffusion_upscale();
/// PixArt-alpha (Chen et al. 2023) and PixArt-Sigma (Chen et al. 2024), which reads longer prompts. Prompts
/// are lowered and stripped, as diffusers has them with `clean_caption=False`.
Family pixart_alpha();
Family pixart_sigma();
/// CogVideoX 1.0 and 1.5 (Yang et al. 2024): films of a prompt, of a picture that they begin with, or of
/// another film.
Family cogvideox();
/// LTX-Video 0.9.0 to 0.9.8 (HaCohen et al. 2024): films from a prompt, or beginning with a picture; and with
/// pictures and clips at any frames.
Family ltx_video();
Family ltx_video_conditions();
/// Classes in latents with a transformer (Peebles & Xie 2023).
Family dit();
/// Films by a transformer that looks within frames and across them in turn (Ma et al. 2024). Prompts are
/// lowered and stripped; their padding is cut off.
Family latte();
/// Mochi 1 (Genmo 2024): films of a prompt.
Family mochi();
/// HunyuanVideo (Kong et al. 2024), whose conditions are given.
Family hunyuan_video();
/// Pixels without an autoencoder (Ho et al. 2020), also with the samplers of DDIM and PNDM.
Family ddpm();

/// Films by Wan 2.1 and 2.2 (Wan Team 2025): from text, from pictures at the first and the last frame, from
/// films.
Family wan();
/// Films that follow films, in whole or where a mask says so, and look at pictures (Jiang et al. 2025).
Family wan_vace();
/// Stable Video Diffusion (Blattmann et al. 2023): a picture begins to move.
Family stable_video_diffusion();
/// ModelScope's text to video and Zeroscope (Wang et al. 2023), which also begin with films.
Family text_to_video_sd();
/// I2VGen-XL (Zhang et al. 2023): a picture moves as a prompt says.
Family i2vgen_xl();

/// The prompt of Stable Diffusion: the last states of the only text encoder. Skipping its last layers
/// concerns the prompt alone, as in the reference.
Conditioning clip_condition(const ops::Context& context, const Components& components, const Task& task,
                            const Prompt& prompt, Side side);

/// A prompt lowered and stripped, as diffusers' pipelines that read T5 have it with `clean_caption=False`.
std::string lowered(std::string_view prompt);

/// What Stable Diffusion's constructors set: its latents are not confined to [-1, 1], and the models were
/// trained with timesteps counted from 1.
inline constexpr const char* sd_scheduler_overrides = R"({"steps_offset": 1, "clip_sample": false})";

}  // namespace daguerre::families
