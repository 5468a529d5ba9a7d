#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "daguerre/log.hpp"
#include "daguerre/nn/loader.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "daguerre/weights/config.hpp"

namespace daguerre {

/// What every network of a pipeline is loaded with.
struct LoadContext {
  ops::Context compute;  ///< packs the weights
  bool allow_trailing_bytes = false;
  LogSink log;
};

/// The weights of a network in `folder`, under diffusers' names.
weights::StateDict load_weights(const std::filesystem::path& folder, const LoadContext& context);
/// Warns of what training code left in a configuration.
void report_leftovers(const weights::Config& config, const LoadContext& context);
/// Tells the log what was read, and warns of what nothing asked for.
void report(const weights::StateDict& state, const LoadContext& context);

/// `precision`, or what `automatic` means with that engine.
Precision resolved(Precision precision, const ops::Engine& engine);

/// Calls load<T, D>(context, denoiser_context) for the types that the networks multiply in `precision`: D is
/// the denoiser's, T that of the others. Throws ArgumentError where `context.compute.engine` cannot do it.
template <class Load>
auto with_precision(Precision precision, const LoadContext& context, const Load& load) {
  switch (resolved(precision, *context.compute.engine)) {
    case Precision::bfloat16:
      return load.template operator()<bfloat16, bfloat16>(context, context);
    case Precision::int8: {
      auto denoiser = context;
      denoiser.compute.engine = ops::make_int8_engine(context.compute.engine);
      return resolved(Precision::automatic, *context.compute.engine) == Precision::bfloat16
                 ? load.template operator()<bfloat16, bfloat16>(context, denoiser)
                 : load.template operator()<float, bfloat16>(context, denoiser);
    }
    default:
      return load.template operator()<float, float>(context, context);
  }
}

/// A network from its folder: config.json and weights beside it.
template <class Model, class Config>
Model load_component(const std::filesystem::path& folder, const LoadContext& context) {
  const auto file = weights::Config::load(folder / "config.json");
  const auto config = Config::from(file);
  report_leftovers(file, context);
  const auto state = load_weights(folder, context);
  Model model(config, nn::Loader{weights::Scope(state), context.compute});
  report(state, context);
  return model;
}

}  // namespace daguerre
