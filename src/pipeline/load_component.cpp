#include "daguerre/pipeline/load_component.hpp"

namespace daguerre {

void report_leftovers(const Config& config, const LoadContext& context) {
  std::string names;
  for (const auto& key : config.leftover_keys()) names += (names.empty() ? "" : ", ") + key;
  if (!names.empty())
    context.tell(LogLevel::warning, "[config] " + config.source() +
                                        ": left there by training code, and without effect: " + names);
}

void report(const weights::StateDict& state, const LoadContext& context) {
  if (!context.log) return;
  const std::string tensors = std::to_string(state.names().size()) + " tensors";
  context.log(LogLevel::info, "[weights] " + state.source() + ": " + tensors);
  std::string names;
  int count = 0;
  for (const auto& name : state.unused()) {
    if (name.ends_with("position_ids")) continue;  // constant indices that older files carry along
    if (++count <= 3) names += (names.empty() ? "" : ", ") + name;
  }
  if (count > 0)
    context.log(LogLevel::warning, "[weights] " + state.source() + ": " + std::to_string(count) + " of " +
                                       tensors + " are not part of the model: " + names +
                                       (count > 3 ? ", …" : ""));
}

Precision resolved(Precision precision, const ops::Engine& engine) {
  if (precision != Precision::automatic) return precision;
  // The native engine widens bfloat16 to multiply it: nothing is gained there.
  return ops::has_native_bfloat16() && engine.name() == "onednn" ? Precision::bfloat16 : Precision::float32;
}

}  // namespace daguerre
