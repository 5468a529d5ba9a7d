#include "conformance/hunyuan_models.hpp"

#include "conformance/pipeline_inputs.hpp"
#include "daguerre/models/denoisers/hunyuan_video_transformer.hpp"
#include "daguerre/models/denoisers/latte_transformer.hpp"
#include "daguerre/models/denoisers/mochi_transformer.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

Tensor<float> recorded_film(const Recorded& run, const char* name) {
  return film_layout(run.tensor(name), FilmOrder::channels_first);
}

Tensor<float> optional_input(const Recorded& run, const char* name) {
  return run.has(name) ? run.tensor(name) : Tensor<float>();
}

/// Runs all of a folder; `output_of` gives the network's output for one.
template <class T, class Network, class Output>
void run_film_network(const fs::path& folder, const typename Network::Config& config,
                      const ops::Context& context, Result& result, const Output& output_of) {
  const typename Network::template Of<T> network(config, loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder))
    result.checks.push_back({"sample" + run.label(),
                             test::difference(output_of(network, run), recorded_film(run, "out.sample")),
                             std::is_same_v<T, float> ? bounds::network : bounds::bfloat16_network});
}

struct HunyuanNetwork {
  using Config = models::HunyuanVideoTransformerConfig;
  template <class T>
  using Of = models::HunyuanVideoTransformer<T>;
};
struct MochiNetwork {
  using Config = models::MochiTransformerConfig;
  template <class T>
  using Of = models::MochiTransformer<T>;
};
struct LatteNetwork {
  using Config = models::LatteTransformerConfig;
  template <class T>
  using Of = models::LatteTransformer<T>;
};

}  // namespace

template <class T>
bool run_hunyuan_model(const fs::path& folder, const Config& config, const ops::Context& context,
                       Result& result) {
  const auto name = config.class_name();
  if (name == "HunyuanVideoTransformer3DModel") {
    run_film_network<T, HunyuanNetwork>(
        folder, HunyuanNetwork::Config::from(config), context, result,
        [&](const auto& network, const Recorded& run) {
          const auto timesteps = run.tensor("in.timestep"), guidance = optional_input(run, "in.guidance");
          return network(context, {.sample = recorded_film(run, "in.hidden_states"),
                                   .timesteps = timesteps.span(),
                                   .encoder_hidden_states = run.tensor("in.encoder_hidden_states"),
                                   .encoder_attention_mask = optional_input(run, "in.encoder_attention_mask"),
                                   .pooled = run.tensor("in.pooled_projections"),
                                   .guidance = guidance.span()});
        });
  } else if (name == "MochiTransformer3DModel") {
    run_film_network<T, MochiNetwork>(
        folder, MochiNetwork::Config::from(config), context, result,
        [&](const auto& network, const Recorded& run) {
          const auto timesteps = run.tensor("in.timestep");
          return network(context,
                         {.sample = recorded_film(run, "in.hidden_states"),
                          .timesteps = timesteps.span(),
                          .encoder_hidden_states = run.tensor("in.encoder_hidden_states"),
                          .encoder_attention_mask = optional_input(run, "in.encoder_attention_mask")});
        });
  } else if (name == "LatteTransformer3DModel") {
    run_film_network<T, LatteNetwork>(
        folder, LatteNetwork::Config::from(config), context, result,
        [&](const auto& network, const Recorded& run) {
          const auto timesteps = run.tensor("in.timestep");
          return network(context, {.sample = recorded_film(run, "in.hidden_states"),
                                   .timesteps = timesteps.span(),
                                   .encoder_hidden_states = run.tensor("in.encoder_hidden_states")});
        });
  } else {
    return false;
  }
  return true;
}

template bool run_hunyuan_model<float>(const fs::path&, const Config&, const ops::Context&, Result&);
template bool run_hunyuan_model<bfloat16>(const fs::path&, const Config&, const ops::Context&, Result&);

}  // namespace daguerre::conformance
