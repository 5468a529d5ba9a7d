#pragma once

#include <string>

#include "daguerre/config/config.hpp"
#include "weights/families.hpp"

/// Configurations of networks as their tensors show them: what their folders' config.json would say. All take
/// weights under diffusers' and transformers' names, and throw WeightError where a tensor is missing that
/// every network of the kind has.
namespace daguerre::weights {

struct UNetExtras {
  /// Of the projected text, and how many numbers are embedded beside it (SDXL's six time ids, its refiner's
  /// five): what is left of the width is theirs. 0: not known, 256 each are published.
  Index pooled_width = 0;
  int numbers = 6;
};
Config unet_config(const StateDict& weights, const FamilyRow& family, const UNetExtras& extras,
                   const std::string& source);
/// `scaling` and `picture_size` are the family's.
Config autoencoder_config(const StateDict& weights, double scaling, int picture_size,
                          const std::string& source);
/// `open_clip`: trained by OpenCLIP, with its activation.
Config clip_text_config(const StateDict& weights, bool open_clip, bool projects, const std::string& source);

/// The width of the text's states that a U-Net attends to, with the tensor that says so: ("….to_k.weight",
/// 768); an empty name when it attends to none.
std::pair<std::string, Index> context_width(const StateDict& unet);

}  // namespace daguerre::weights
