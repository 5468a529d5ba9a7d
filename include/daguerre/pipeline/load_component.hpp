#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "daguerre/core/log.hpp"
#include "daguerre/nn/loader.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "daguerre/text/clip_tokenizer.hpp"

namespace daguerre {

/// What every part of a model is loaded with.
struct LoadContext {
  ops::Context compute;                      ///< packs the weights
  Precision precision = Precision::float32;  ///< not automatic
  bool allow_trailing_bytes = false;
  text::ClipDialect dialect = text::ClipDialect::huggingface;
  LogSink log{};
  /// Told of each part before it is loaded: its name, its number from 0, how many there are.
  std::function<void(std::string_view name, int index, int total)> on_part{};
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

/// Calls load<T>(context), T being the type that a part of that role multiplies in `context.precision`, with
/// the engine for it. Throws ArgumentError where that engine cannot do it.
template <class Load>
auto with_precision(const LoadContext& context, Role role, const Load& load) {
  auto own = context;
  if (context.precision == Precision::int8) {
    if (role == Role::denoiser)
      own.compute.engine = ops::make_int8_engine(context.compute.engine);
    else
      own.precision = resolved(Precision::automatic, *context.compute.engine);
  }
  return own.precision == Precision::float32 ? load.template operator()<float>(own)
                                             : load.template operator()<bfloat16>(own);
}

/// A network of that configuration, with the part's weights.
template <class Model, class Config>
Model load_component(const ComponentSource& part, const Config& config, const LoadContext& context) {
  report_leftovers(part.config(), context);
  const auto state = part.weights(
      {.allow_trailing_bytes = context.allow_trailing_bytes, .threads = context.compute.threads});
  Model model(config, nn::Loader{weights::Scope(state), context.compute});
  report(state, context);
  return model;
}

}  // namespace daguerre
