#include "conformance/wan_models.hpp"

#include <type_traits>

#include "daguerre/models/denoisers/wan_transformer.hpp"

namespace daguerre::conformance {
namespace {

/// A recorded film `[N, C, F, H, W]`, channels last; empty where the run has none.
Tensor<float> wan_film(const Recorded& run, const char* name) {
  if (!run.has(name)) return {};
  const auto film = run.file().read<float>(name);
  const auto& shape = film.shape();
  return to_channels_last(film.reshape({shape[0], shape[1], shape[2] * shape[3], shape[4]}))
      .reshape({shape[0], shape[2], shape[3], shape[4], shape[1]});
}

}  // namespace

template <class T>
void run_wan_transformer(const std::filesystem::path& folder, const Config& config,
                         const ops::Context& context, Result& result) {
  const models::WanTransformer<T> network(models::WanTransformerConfig::from(config),
                                          loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto film = wan_film(run, "in.hidden_states");
    const auto timesteps = run.tensor("in.timestep");
    const auto scale = run.has("in.control_hidden_states_scale")
                           ? run.tensor("in.control_hidden_states_scale")
                           : Tensor<float>::zeros({0});
    // A first and a last picture of each film are recorded as two of a batch.
    const auto image = run.has("in.image") ? run.file().read<float>("in.image") : Tensor<float>();
    const auto actual =
        network(context, {.hidden_states = film,
                          .timesteps = timesteps.span(),
                          .encoder_hidden_states = run.tensor("in.encoder_hidden_states"),
                          .encoder_hidden_states_image =
                              image.empty() ? image : image.reshape({film.dim(0), -1, image.dim(2)}),
                          .control_hidden_states = wan_film(run, "in.control_hidden_states"),
                          .control_scale = scale.span()});
    result.checks.push_back({"sample" + run.label(), test::difference(actual, wan_film(run, "out.sample")),
                             std::is_same_v<T, float> ? bounds::network : bounds::bfloat16_network});
  }
}

template void run_wan_transformer<float>(const std::filesystem::path&, const Config&, const ops::Context&,
                                         Result&);
template void run_wan_transformer<bfloat16>(const std::filesystem::path&, const Config&, const ops::Context&,
                                            Result&);

}  // namespace daguerre::conformance
