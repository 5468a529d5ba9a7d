#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daguerre/pipeline/hires.hpp"
#include "daguerre/pipeline/inpainting.hpp"

/// What the settings' text calls things: the web UI's names, both ways.
namespace daguerre {

/// "Latent", "Latent (nearest)" …, "Lanczos".
std::string upscaler_name(Hires::Mode mode);
std::optional<Hires::Mode> hires_mode_called(std::string_view name);

/// "original", "fill", "latent noise", "latent nothing".
std::string masked_content_name(MaskedContent content);
std::optional<MaskedContent> masked_content_called(std::string_view name);

/// The library's short name of a sampler that a text names by it or as the web UI does ("DPM++ 2M" with the
/// schedule "Karras", or "DPM++ 2M Karras" in one); nullopt where there is none.
std::optional<std::string> sampler_called(std::string_view name, std::string_view schedule = {});

}  // namespace daguerre
