#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "weights/key_maps/layouts.hpp"

namespace daguerre::weights {

/// How the names of a network follow one another.
enum class Layout { original, diffusers };

/// A number that a tensor shows and that another part must fit. An empty name: nothing shows it.
struct Extent {
  std::string tensor;
  Index value = 0;
};

/// What a family knows of its denoiser and no tensor shows.
struct DenoiserFacts {
  int picture_size = 512;
  int heads = 0;  ///< of every attention; 0: as many as the kind has for its width
  /// Of the projected text, and how many numbers are embedded beside it (SDXL's six time ids, its refiner's
  /// five): what is left of the width is theirs. 0: not known.
  Index pooled_width = 0;
  int time_numbers = 6;
};

/// A class of denoising networks: by which tensors it shows, how its names become diffusers', what
/// configuration its shapes mean. All functions take weights under diffusers' names but `from_original`.
struct DenoiserKind {
  std::string_view part;                    ///< in model_index.json: "unet"
  std::string_view class_name;              ///< "UNet2DConditionModel"
  std::string_view title;                   ///< in messages: "U-Net"
  std::vector<std::string_view> original;   ///< tensors that every network of the kind has
  std::vector<std::string_view> diffusers;  ///< the same under diffusers' names
  StateDict (*from_original)(const StateDict&) = nullptr;
  std::vector<key_maps::JoinedTensor> (*to_original)(const StateDict&, key_maps::Unplaced) = nullptr;
  Config (*config)(const StateDict&, const DenoiserFacts&, const std::string& source) = nullptr;
  Extent (*states)(const StateDict&) = nullptr;   ///< width of the text's states
  Extent (*pooled)(const StateDict&) = nullptr;   ///< width of the text in one vector
  Extent (*latents)(const StateDict&) = nullptr;  ///< the latents' channels, as they come out

  const std::vector<std::string_view>& names(Layout layout) const {
    return layout == Layout::original ? original : diffusers;
  }
};

const DenoiserKind& unet_kind();
const DenoiserKind& sd3_kind();
const DenoiserKind& flux_kind();
const DenoiserKind& pixart_kind();
const DenoiserKind& wan_kind();
const DenoiserKind& wan_vace_kind();
std::span<const DenoiserKind* const> denoiser_kinds();

/// The kind of that class; nullptr when there is none.
const DenoiserKind* denoiser_of_class(std::string_view class_name);

}  // namespace daguerre::weights
