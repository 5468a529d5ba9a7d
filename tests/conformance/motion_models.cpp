#include <type_traits>

#include "conformance/case.hpp"
#include "conformance/pipeline_inputs.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"

/// U-Nets with motion modules.
namespace daguerre::conformance {
namespace {

template <class T>
void run_motion_unet(const std::filesystem::path& folder, const Config& config, const ops::Context& context,
                     Result& result) {
  const models::UNet2DCondition<T> unet(models::UNet2DConditionConfig::from(config),
                                        loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto film = [&](const char* name) {
      return film_layout(run.file().read<float>(name), FilmOrder::channels_first);
    };
    const auto timesteps = run.tensor("in.timestep");
    const auto sample = film("in.sample");
    const auto states = run.tensor("in.encoder_hidden_states");
    const auto check = [&](const std::string& name, const Tensor<float>& actual) {
      result.checks.push_back({name + run.label(), test::difference(actual, film("out.sample")),
                               std::is_same_v<T, float> ? bounds::network : bounds::bfloat16_network});
    };
    check("sample", unet(context, sample, timesteps.span(), states));
    // The reference repeats a film's prompt for its frames; it need not be.
    const Index frames = sample.dim(1);
    bool same = true;
    for (Index i = 0; i < states.dim(0); ++i)
      same = same && std::equal(states[i].span().begin(), states[i].span().end(),
                                states[i / frames * frames].span().begin());
    if (!same) continue;
    std::vector<Tensor<float>> of_films;
    for (Index i = 0; i < states.dim(0); i += frames) of_films.push_back(states.slice(i, i + 1));
    check("sample:prompts of films",
          unet(context, sample, timesteps.span(), concat_leading<float>(of_films)));
  }
}

}  // namespace

std::optional<Result> run_motion_model(const std::filesystem::path& folder, const Config& config,
                                       const Options& options) {
  if (config.class_name() != "UNetMotionModel") return std::nullopt;
  Result result;
  options.with_type([&]<class T>() { run_motion_unet<T>(folder, config, options.context(), result); });
  return result;
}

}  // namespace daguerre::conformance
