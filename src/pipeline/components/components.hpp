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
/// models::AutoencoderKl.
Opened<Autoencoder> open_autoencoder_kl(const ComponentSource& source, const LoadContext& context);

}  // namespace daguerre
