#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/families.hpp"

/// Where the networks of a file are, by the names of their tensors.
namespace daguerre::weights {

struct PartPlace {
  std::string prefix;  ///< before the part's own names
  Layout layout = Layout::original;
};

std::optional<DenoiserPlace> find_denoiser(const StateDict& weights);
std::optional<PartPlace> find_autoencoder(const StateDict& weights);
/// The text encoder of a slot in a whole file.
std::optional<PartPlace> find_text(const StateDict& weights, const TextSlot& slot);
/// A text encoder that is alone in its file; `layout` original: open_clip's names, or llama.cpp's.
struct LoneText {
  PartPlace place;
  bool is_t5 = false;
};
std::optional<LoneText> find_lone_text(const StateDict& weights);

// The parts under diffusers' and transformers' names, without what such parts are known to leave over.
StateDict denoiser_weights(const StateDict& weights, const DenoiserPlace& place, bool ema);
StateDict autoencoder_weights(const StateDict& weights, const PartPlace& place);
/// At most `most_layers` layers, where that is not 0.
StateDict clip_weights(const StateDict& weights, const PartPlace& place, int most_layers);
/// The encoder alone.
StateDict t5_weights(const StateDict& weights, const PartPlace& place);
StateDict without_projection(const StateDict& text);
StateDict with_layers(const StateDict& text, int most_layers);

/// The whole file, the denoiser's tensors being their averages where it holds these.
StateDict with_averages(const StateDict& weights, const DenoiserPlace& denoiser);

/// Tensors that are below none of `places` and that published files are not known to leave over.
std::vector<std::string> unknown_names(const StateDict& weights, const std::vector<PartPlace>& places);

/// "lora", "controlnet", "t2i-adapter" or "textual-inversion", which are no part of a checkpoint; else empty.
std::string_view other_kind(const StateDict& weights);
/// That in words: "a LoRA, which changes a model".
std::string_view kind_in_words(std::string_view kind);

}  // namespace daguerre::weights
