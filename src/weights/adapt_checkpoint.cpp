#include "daguerre/weights/adapt_checkpoint.hpp"

#include <algorithm>
#include <cmath>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

/// What adapter files call a part of a checkpoint.
std::string_view adapter_part(const CheckpointPart& part) {
  return part.name == "unet" || part.name == "transformer" ? AdapterFile::denoiser
                                                           : std::string_view(part.name);
}

void check_adapter(const Checkpoint& model, const AdapterUse& use) {
  if (!std::isfinite(use.denoiser) || !std::isfinite(use.text_encoders))
    throw ArgumentError(weights_name, use.file.source() + ": its strength is not a finite number");
  for (const auto& name : use.file.parts())
    if (std::none_of(model.parts.begin(), model.parts.end(),
                     [&](const CheckpointPart& part) { return adapter_part(part) == name; }))
      throw WeightError(weights_name, use.file.source() + ": it changes the " + name + ", which " +
                                          model.source + " does not hold");
}

}  // namespace

Checkpoint with_adapters(const Checkpoint& model, std::span<const AdapterUse> adapters) {
  if (adapters.empty()) return model;
  for (const auto& use : adapters) check_adapter(model, use);
  Checkpoint result = model;
  result.file.reset();
  for (auto& part : result.parts) {
    const auto name = adapter_part(part);
    Deltas deltas;
    for (const auto& use : adapters) {
      auto match = use.file.match(name, part.weights);
      const float strength = name == AdapterFile::denoiser ? use.denoiser : use.text_encoders;
      for (auto& [tensor, applied] : match.deltas)
        for (auto& delta : applied) {
          delta.strength *= strength;
          if (!(delta.delta->shape() == part.weights.shape(tensor)))
            throw WeightError(weights_name, use.file.source() + ": it gives " + in_quotes(tensor) +
                                                " the shape " + to_string(delta.delta->shape()) +
                                                ", with which the model is another one");
        }
      append(deltas, match.deltas);
    }
    if (!deltas.empty()) part.weights = part.weights.with_deltas(deltas);
  }
  return result;
}

}  // namespace daguerre::weights
