#include "daguerre/pipeline/load_component.hpp"

#include <algorithm>

#include "pipeline/memory_plan.hpp"

namespace daguerre {
namespace {

/// What the weights that were asked for take in memory, or in the file where they are left there.
std::uint64_t bytes_taken(const weights::StateDict& state, const LoadContext& context) {
  const bool mapped = context.keeping.placement == ops::WeightPlacement::mapped;
  const std::uint64_t width = packed_size(context.precision);
  const auto unused = state.unused();  // sorted
  std::uint64_t total = 0;
  for (const auto& name : state.names()) {
    if (std::binary_search(unused.begin(), unused.end(), name)) continue;
    const auto* info = state.find(name);
    total += mapped ? info->end - info->begin : static_cast<std::uint64_t>(info->shape.size()) * width;
  }
  return total;
}

}  // namespace

void report_leftovers(const Config& config, const LoadContext& context) {
  std::string names;
  for (const auto& key : config.leftover_keys()) names += (names.empty() ? "" : ", ") + key;
  if (!names.empty())
    context.tell(LogLevel::warning, "[config] " + config.source() +
                                        ": left there by training code, and without effect: " + names);
}

void report(const weights::StateDict& state, const LoadContext& context) {
  if (!context.on_weights && !context.log) return;
  const auto bytes = bytes_taken(state, context);
  if (context.on_weights) context.on_weights(state.source(), bytes);
  if (!context.log) return;
  const bool mapped = context.keeping.placement == ops::WeightPlacement::mapped;
  const std::string tensors = std::to_string(state.names().size()) + " tensors";
  context.log(LogLevel::info, "[weights] " + state.source() + ": " + tensors + ", " + megabytes(bytes) +
                                  (mapped ? " mapped" : " packed") +
                                  (context.keeping.when_needed ? ", loaded when needed" : ""));
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

nn::Loader loader_of(const weights::StateDict& state, const LoadContext& context) {
  if (context.changes == nullptr) return {weights::Scope(state), context.compute};
  const auto& changes = *context.changes;
  auto deltas = changes.merged ? changes.merged(state) : weights::Deltas();
  auto adaptation = std::make_shared<nn::Adaptation>();
  adaptation->base = changes.base;
  if (changes.added) adaptation->added = changes.added(state);
  adaptation->record = changes.record;
  weights::append(deltas, adaptation->added);
  return {weights::Scope(deltas.empty() ? state : state.with_deltas(deltas)), context.compute,
          std::move(adaptation)};
}

Precision resolved(Precision precision, const ops::Engine& engine) {
  if (precision != Precision::automatic) return precision;
  // The native engine widens bfloat16 to multiply it: nothing is gained there.
  return ops::has_fast_bfloat16() && engine.name() == "onednn" ? Precision::bfloat16 : Precision::float32;
}

Precision precision_of(const LoadContext& context, Role role) {
  if (context.precision != Precision::int8 || role == Role::denoiser) return context.precision;
  return resolved(Precision::automatic, *context.compute.engine);
}

std::uint64_t packed_size(Precision precision) {
  if (precision == Precision::int8) return 1;
  return precision == Precision::float32 ? sizeof(float) : sizeof(bfloat16);
}

}  // namespace daguerre
