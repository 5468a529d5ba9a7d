#pragma once

#include <memory>

#include "daguerre/log.hpp"
#include "daguerre/nn/loader.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "pipeline/model_folder.hpp"

namespace daguerre {

/// What every network of a pipeline is loaded with.
struct LoadContext {
  ops::Context compute;  ///< packs the weights
  bool allow_trailing_bytes = false;
  LogSink log;
};

/// The weights of a part, under the names that the networks ask for.
weights::StateDict load_weights(const ModelPart& part, const weights::SafetensorsOptions& options);
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

/// A network of that configuration, with the part's weights.
template <class Model, class Config>
Model load_component(const ModelPart& part, const Config& config, const LoadContext& context) {
  report_leftovers(part.config(), context);
  const auto state = load_weights(
      part, {.allow_trailing_bytes = context.allow_trailing_bytes, .threads = context.compute.threads});
  Model model(config, nn::Loader{weights::Scope(state), context.compute});
  report(state, context);
  return model;
}

}  // namespace daguerre
