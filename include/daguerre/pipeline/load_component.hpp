#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "daguerre/core/log.hpp"
#include "daguerre/nn/loader.hpp"
#include "daguerre/pipeline/lora.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "daguerre/text/clip_tokenizer.hpp"

namespace daguerre {

/// What decides how the parts of a model are kept, see LoadOptions.
struct MemoryOptions {
  WeightStorage weights = WeightStorage::automatic;
  Residency residency = Residency::automatic;
  std::uint64_t limit = 0;  ///< in bytes; 0: what the machine has free
};

/// How one part is kept.
struct Keeping {
  ops::WeightPlacement placement = ops::WeightPlacement::packed;
  bool when_needed = false;  ///< loaded in each run, and dropped
};

/// What changes a part's weights on their way into its network, and with which network it shares layers; see
/// nn::Adaptation.
struct PartChanges {
  using Of = std::function<weights::Deltas(const weights::StateDict& weights)>;
  Of merged{};                                     ///< what is read is changed already; empty: by nothing
  Of added{};                                      ///< beyond that, to what `base` has
  std::shared_ptr<const nn::PackedLayers> base{};  ///< with `merged` alone
  std::shared_ptr<nn::PackedLayers> record{};      ///< where to keep the network's layers
};

/// What every part of a model is loaded with.
struct LoadContext {
  /// Packs the weights; Model::load sets its placement for each part.
  ops::Context compute;
  Precision precision = Precision::float32;  ///< not automatic
  bool allow_trailing_bytes = false;
  text::ClipDialect dialect = text::ClipDialect::huggingface;
  MemoryOptions memory{};
  Keeping keeping{};             ///< of the part that is loaded; Model::load sets it
  std::vector<LoraUse> loras{};  ///< merged into the weights of all parts
  /// Of the part that is loaded; Model sets it, `load_component` reads it. nullptr: none.
  std::shared_ptr<const PartChanges> changes{};
  LogSink log{};
  /// Told of each part before it is loaded: its name, its number from 0, how many there are, and how it is
  /// kept.
  std::function<void(std::string_view name, int index, int total, const Keeping& keeping)> on_part{};
  /// Told of each part's weights once they are read: where from, and about what they take.
  std::function<void(const std::string& source, std::uint64_t bytes)> on_weights{};

  /// Tells `log`, where there is one.
  void tell(LogLevel level, const std::string& what) const {
    if (log) log(level, what);
  }
};

/// Warns of what training code left in a configuration.
void report_leftovers(const Config& config, const LoadContext& context);
/// Tells the log and `on_weights` what was read, and warns of what nothing asked for.
void report(const weights::StateDict& state, const LoadContext& context);

/// `precision`, or what `automatic` means with that engine.
Precision resolved(Precision precision, const ops::Engine& engine);

/// Which part of a model is loaded: denoisers are the ones that 8 bits are for.
enum class Role { denoiser, other };

/// What a part of that role multiplies in.
Precision precision_of(const LoadContext& context, Role role);
/// What an element takes once it is packed.
std::uint64_t packed_size(Precision precision);

/// Calls load<T>(context), T being the type that a part of that role multiplies in `context.precision`, with
/// the engine for it. Throws ArgumentError where that engine cannot do it.
template <class Load>
auto with_precision(const LoadContext& context, Role role, const Load& load) {
  auto own = context;
  own.precision = precision_of(context, role);
  if (own.precision == Precision::int8) own.compute.engine = ops::make_int8_engine(context.compute.engine);
  return own.precision == Precision::float32 ? load.template operator()<float>(own)
                                             : load.template operator()<bfloat16>(own);
}

/// What a network is made from: `state` as the context changes it.
nn::Loader loader_of(const weights::StateDict& state, const LoadContext& context);

/// A network of that configuration, with the part's weights.
template <class Model, class Config>
Model load_component(const ComponentSource& part, const Config& config, const LoadContext& context) {
  report_leftovers(part.config(), context);
  const auto state = part.weights(
      {.allow_trailing_bytes = context.allow_trailing_bytes, .threads = context.compute.threads});
  const auto loader = loader_of(state, context);
  Model model(config, loader);
  report(loader.scope.weights(), context);
  return model;
}

}  // namespace daguerre
