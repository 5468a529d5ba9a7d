#include "pipeline/loaded_parts.hpp"

#include <type_traits>
#include <utility>

#include "daguerre/pipeline/model.hpp"
#include "pipeline/on_demand.hpp"

namespace daguerre {
namespace {

/// What a matching finds for a part, kept in `found`.
PartChanges::Of matched(LoraMatching& matching, const Part& part,
                        const std::shared_ptr<weights::Deltas>& found) {
  if (!matching.changes(part)) return {};
  return [&matching, part, found](const weights::StateDict& weights) {
    return *found = matching.deltas(part, weights);
  };
}

/// The same again, each time.
PartChanges::Of always(std::shared_ptr<const weights::Deltas> deltas) {
  if (deltas->empty()) return {};
  return [deltas = std::move(deltas)](const weights::StateDict&) { return *deltas; };
}

/// Looks at names and shapes, packs nothing and keeps nothing.
template <class Component>
void check_weights(const Opened<Component>& opened, LoadContext context) {
  context.compute.placement = ops::WeightPlacement::mapped;
  (void)opened.load(context);
}

std::shared_ptr<const PartChanges> shared(PartChanges changes) {
  return std::make_shared<const PartChanges>(std::move(changes));
}

}  // namespace

template <class Component>
LoadedPart<Component> load_part(const Part& part, const Opened<Component>& opened, const LoadContext& context,
                                LoraMatching& matching) {
  const auto merged = std::make_shared<weights::Deltas>();
  LoadedPart<Component> result{part, opened, context, merged};
  // A host's callbacks are those of this load.
  result.context.log = {};
  result.context.on_part = {};
  result.context.on_weights = {};
  result.context.loras.clear();
  result.context.compute.pool = {};
  result.context.compute.stop = {};
  auto own = context;
  if constexpr (!std::is_same_v<Component, Denoiser>)
    if (context.keeping.when_needed) {
      own.changes = shared({.merged = matched(matching, part, merged)});
      check_weights(opened, own);
      own.changes = shared({.merged = always(merged)});
      result.component = on_demand(opened, own);
      return result;
    }
  const auto record = std::make_shared<nn::PackedLayers>();
  own.changes = shared({.merged = matched(matching, part, merged), .record = record});
  result.component = opened.load(own);
  result.layers = record;
  return result;
}

template <class Component>
std::shared_ptr<const Component> adapted_part(const LoadedPart<Component>& loaded, LoraMatching& matching,
                                              const ops::Context& run) {
  if (!matching.changes(loaded.part)) return loaded.component;
  auto own = loaded.context;
  own.compute.threads = run.threads;
  own.compute.stop = run.stop;
  const auto added = std::make_shared<weights::Deltas>();
  own.changes = shared({.merged = always(loaded.merged),
                        .added = matched(matching, loaded.part, added),
                        .base = loaded.layers});
  if constexpr (!std::is_same_v<Component, Denoiser>)
    if (own.keeping.when_needed) {
      check_weights(loaded.opened, own);
      own.changes = shared({.merged = always(loaded.merged), .added = always(added)});
      return on_demand(loaded.opened, own);
    }
  return loaded.opened.load(own);
}

template LoadedPart<TextEncoder> load_part(const Part&, const Opened<TextEncoder>&, const LoadContext&,
                                           LoraMatching&);
template LoadedPart<Denoiser> load_part(const Part&, const Opened<Denoiser>&, const LoadContext&,
                                        LoraMatching&);
template LoadedPart<Autoencoder> load_part(const Part&, const Opened<Autoencoder>&, const LoadContext&,
                                           LoraMatching&);
template LoadedPart<ImageEncoder> load_part(const Part&, const Opened<ImageEncoder>&, const LoadContext&,
                                            LoraMatching&);
template std::shared_ptr<const TextEncoder> adapted_part(const LoadedPart<TextEncoder>&, LoraMatching&,
                                                         const ops::Context&);
template std::shared_ptr<const Denoiser> adapted_part(const LoadedPart<Denoiser>&, LoraMatching&,
                                                      const ops::Context&);

}  // namespace daguerre
