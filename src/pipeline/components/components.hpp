#pragma once

#include <string_view>

#include "daguerre/pipeline/component_registry.hpp"

/// What opens the library's own component classes.
namespace daguerre {

/// Throws ConfigError unless the tokenizer's class is `name`, its fast form, or one that leaves it to the
/// files.
void check_tokenizer_class(const ComponentSource& tokenizer, std::string_view name);

/// models::ClipText behind a text::ClipTokenizer.
Opened<TextEncoder> open_clip_text_encoder(const ComponentSource& network, const ComponentSource& tokenizer,
                                           const LoadContext& context);
/// models::T5Encoder behind a text::T5Tokenizer.
Opened<TextEncoder> open_t5_text_encoder(const ComponentSource& network, const ComponentSource& tokenizer,
                                         const LoadContext& context);
/// models::UNet2DCondition: reads the context; "time_ids" and the pooled prompt, the guidance scale and masks
/// where its configuration says so.
Opened<Denoiser> open_unet_2d_condition(const ComponentSource& source, const LoadContext& context);
/// models::UNet2D, which works in pixels: nothing, or a class.
Opened<Denoiser> open_unet_2d(const ComponentSource& source, const LoadContext& context);
/// models::DiT: a class; a variance that it predicts is dropped.
Opened<Denoiser> open_dit(const ComponentSource& source, const LoadContext& context);
/// models::SD3Transformer: the context and the pooled prompt; masks are not read.
Opened<Denoiser> open_sd3_transformer(const ComponentSource& source, const LoadContext& context);
/// models::FluxTransformer on patches of 2 x 2 latents: the context and the pooled prompt, the guidance scale
/// where its configuration says so, and "reference_latents" `[N, h, w, C]`, a picture that it looks at
/// (Kontext); masks are not read.
Opened<Denoiser> open_flux_transformer(const ComponentSource& source, const LoadContext& context);
/// models::PixArtTransformer: the context and its mask; where its configuration says so "resolution", a
/// picture's height and width in pixels, `[N, 2]`, and "aspect_ratio", height / width, `[N, 1]`. A variance
/// that it predicts is dropped.
Opened<Denoiser> open_pixart_transformer(const ComponentSource& source, const LoadContext& context);
/// For each token of a film the timestep that it is at, `[N, L]`: what films' transformers read in the place
/// of one for all.
inline constexpr const char* token_timesteps = "timesteps";
/// A picture's tokens `[N, I, D]`, a first and a last one's one behind the other; what a film is to follow,
/// `[N, F, h, w, C]`, and how closely, `[N, 1 or layers]` (VACE).
inline constexpr const char *wan_image_embeds = "image_embeds", *wan_control = "control",
                            *wan_control_scale = "control_scale";
/// `DenoiserInfo::kind` of Wan 2.2's model on latents of a sixteenth of the picture's sides.
inline constexpr const char* wan_deep_kind = "wan-ti2v";
/// models::WanTransformer: the context; "timesteps", "image_embeds", and of VACE "control" and
/// "control_scale".
Opened<Denoiser> open_wan_transformer(const ComponentSource& source, const LoadContext& context);
/// What the older class Transformer2DModel is: PixArt's or DiT's.
Opened<Denoiser> open_old_transformer(const ComponentSource& source, const LoadContext& context);
/// models::HunyuanVideoTransformer: the context with its mask and the pooled prompt, the guidance scale where
/// its configuration says so.
Opened<Denoiser> open_hunyuan_video_transformer(const ComponentSource& source, const LoadContext& context);
/// models::MochiTransformer: the context and its mask.
Opened<Denoiser> open_mochi_transformer(const ComponentSource& source, const LoadContext& context);
/// models::LatteTransformer: the context, all of whose rows are looked at; "temporal_attentions" `[1]`, 0
/// where frames are not to look at each other. A variance that it predicts is dropped.
Opened<Denoiser> open_latte_transformer(const ComponentSource& source, const LoadContext& context);
/// models::UNetSpatioTemporal: the context, a picture's embedding, and "time_ids" `[N, K]`; `concat` is the
/// picture's latents for every frame.
Opened<Denoiser> open_unet_spatio_temporal(const ComponentSource& source, const LoadContext& context);
/// models::UNet3DCondition: the context.
Opened<Denoiser> open_unet_3d_condition(const ComponentSource& source, const LoadContext& context);
/// models::I2VGenXLUNet: the context, "fps" `[N]`, "image_embeds" `[N, 1, D]`, and "image_latents", which are
/// as the sample.
Opened<Denoiser> open_i2vgen_xl_unet(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderKlTemporal, of which a film's frames are decoded in chunks that see themselves alone.
Opened<Autoencoder> open_autoencoder_kl_temporal(const ComponentSource& source, const LoadContext& context);
/// models::CogVideoXTransformer: the context, and channels that join the sample's.
Opened<Denoiser> open_cogvideox_transformer(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderKlCogVideoX.
Opened<Autoencoder> open_autoencoder_kl_cogvideox(const ComponentSource& source, const LoadContext& context);
/// models::LTXTransformer: the context and its mask, "positions" `[1, F, h, w, 3]`, and "timesteps" `[1, F h
/// w]` where tokens have their own.
Opened<Denoiser> open_ltx_transformer(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderKlLtx.
Opened<Autoencoder> open_autoencoder_kl_ltx(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderKl.
Opened<Autoencoder> open_autoencoder_kl(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderKlWan: films.
Opened<Autoencoder> open_autoencoder_kl_wan(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderKlHunyuanVideo: films, in groups of frames.
Opened<Autoencoder> open_autoencoder_kl_hunyuan_video(const ComponentSource& source,
                                                      const LoadContext& context);
/// models::AutoencoderKlMochi: films.
Opened<Autoencoder> open_autoencoder_kl_mochi(const ComponentSource& source, const LoadContext& context);
/// models::AutoencoderTiny.
Opened<Autoencoder> open_autoencoder_tiny(const ComponentSource& source, const LoadContext& context);
/// models::ClipVision behind the `processor` of its pictures, a folder with a preprocessor_config.json;
/// CLIP's own where that is not there.
Opened<ImageEncoder> open_clip_image_encoder(const ComponentSource& network, const ComponentSource& processor,
                                             const LoadContext& context);

}  // namespace daguerre
