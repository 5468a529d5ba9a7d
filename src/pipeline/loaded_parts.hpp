#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/pipeline/load_component.hpp"
#include "daguerre/pipeline/model.hpp"
#include "pipeline/lora_matching.hpp"

namespace daguerre {

/// A part as it was loaded, and what makes another one beside it, whose weights LoRAs change.
template <class Component>
struct LoadedPart {
  Part part;
  Opened<Component> opened;
  LoadContext context;                               ///< without what reports
  std::shared_ptr<const weights::Deltas> merged;     ///< what was changed at load
  std::shared_ptr<const nn::PackedLayers> layers{};  ///< nullptr where they come and go
  std::shared_ptr<const Component> component{};
};

/// The parts that LoRAs may change.
struct Model::LoadedParts {
  std::vector<LoadedPart<TextEncoder>> text_encoders;
  std::vector<LoadedPart<Denoiser>> denoisers;
  std::vector<LoraInfo> loras;  ///< applied at load
};

/// The part, or one that is loaded when it is needed, whose weights have been checked; with those changes
/// that `matching` has for it.
template <class Component>
LoadedPart<Component> load_part(const Part& part, const Opened<Component>& opened, const LoadContext& context,
                                LoraMatching& matching);
/// Another one beside `loaded`, for runs like `run`, with the changes that `matching` has beyond its own.
template <class Component>
std::shared_ptr<const Component> adapted_part(const LoadedPart<Component>& loaded, LoraMatching& matching,
                                              const ops::Context& run);

}  // namespace daguerre
