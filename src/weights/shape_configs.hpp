#pragma once

#include <string>

#include "daguerre/config/config.hpp"
#include "weights/denoiser_kinds.hpp"

/// Configurations of networks as their tensors show them: what their folders' config.json would say. All take
/// weights under diffusers' and transformers' names, and throw WeightError where a tensor is missing that
/// every network of the kind has.
namespace daguerre::weights {

Config unet_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source);

/// What an autoencoder's latents are shifted and scaled by: (latents - shift) * factor.
struct LatentScale {
  double factor = 0.18215;
  double shift = 0.0;
};
/// `scale` and `picture_size` are the family's.
Config autoencoder_config(const StateDict& weights, const LatentScale& scale, int picture_size,
                          const std::string& source);
/// Whether it is an AutoencoderTiny's, of which the configuration follows: one without shift or scale.
bool is_tiny_autoencoder(const StateDict& weights);
Config tiny_autoencoder_config(const StateDict& weights, const std::string& source);
/// Whether it is an AutoencoderKLWan's, of films; and the configuration that follows. Of latents that are
/// neither Wan 2.1's nor 2.2's neither mean nor deviation is known.
bool is_wan_autoencoder(const StateDict& weights);
Config wan_autoencoder_config(const StateDict& weights, const std::string& source);
/// `open_clip`: trained by OpenCLIP, with its activation.
Config clip_text_config(const StateDict& weights, bool open_clip, bool projects, const std::string& source);

/// The width of the text's states that a U-Net attends to, with the tensor that says so: ("….to_k.weight",
/// 768); an empty name when it attends to none.
Extent context_width(const StateDict& unet);

}  // namespace daguerre::weights
