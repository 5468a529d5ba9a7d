#include <array>
#include <type_traits>

#include "conformance/case.hpp"
#include "conformance/pipeline_inputs.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_temporal.hpp"
#include "daguerre/models/denoisers/i2vgen_xl_unet.hpp"
#include "daguerre/models/denoisers/unet_3d_condition.hpp"
#include "daguerre/models/denoisers/unet_spatio_temporal.hpp"

/// U-Nets of films, and the autoencoder whose decoder sees frames together.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

template <class T>
void check_film_output(Result& result, const Recorded& run, const std::string& name,
                       const Tensor<float>& actual, const Tensor<float>& expected, double limit) {
  result.checks.push_back({name + run.label(), test::difference(actual, expected),
                           std::is_same_v<T, float> ? limit : bounds::bfloat16_network});
}

Tensor<float> recorded_film(const Recorded& run, const std::string& name, FilmOrder order) {
  return film_layout(run.file().read<float>(name), order);
}

template <class T>
void run_spatio_temporal(const fs::path& folder, const Config& config, const ops::Context& context,
                         Result& result) {
  const models::UNetSpatioTemporal<T> unet(models::UNetSpatioTemporalConfig::from(config),
                                           loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto timesteps = run.tensor("in.timestep");
    const auto output =
        unet(context, recorded_film(run, "in.sample", FilmOrder::frames_first), timesteps.span(),
             run.tensor("in.encoder_hidden_states"), run.tensor("in.added_time_ids"));
    check_film_output<T>(result, run, "sample", output,
                         recorded_film(run, "out.sample", FilmOrder::frames_first), bounds::network);
  }
}

template <class T>
void run_unet_3d(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  const models::UNet3DCondition<T> unet(models::UNet3DConditionConfig::from(config),
                                        loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto timesteps = run.tensor("in.timestep");
    const auto condition = run.has("in.timestep_cond") ? run.tensor("in.timestep_cond") : Tensor<float>();
    const auto output = unet(context, recorded_film(run, "in.sample", FilmOrder::channels_first),
                             timesteps.span(), run.tensor("in.encoder_hidden_states"), condition);
    check_film_output<T>(result, run, "sample", output,
                         recorded_film(run, "out.sample", FilmOrder::channels_first), bounds::network);
  }
}

template <class T>
void run_i2vgen_xl(const fs::path& folder, const Config& config, const ops::Context& context,
                   Result& result) {
  const models::I2VGenXLUNet<T> unet(models::I2VGenXLUNetConfig::from(config),
                                     loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto timesteps = run.tensor("in.timestep"), fps = run.tensor("in.fps");
    const auto output =
        unet(context, recorded_film(run, "in.sample", FilmOrder::channels_first), timesteps.span(),
             {.encoder_hidden_states = run.tensor("in.encoder_hidden_states"),
              .image_embeddings = run.tensor("in.image_embeddings"),
              .image_latents = recorded_film(run, "in.image_latents", FilmOrder::channels_first),
              .fps = fps.span()});
    check_film_output<T>(result, run, "sample", output,
                         recorded_film(run, "out.sample", FilmOrder::channels_first), bounds::network);
  }
}

template <class T>
void run_temporal_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                              Result& result) {
  const models::AutoencoderKlTemporal<T> vae(models::AutoencoderKlTemporalConfig::from(config),
                                             loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto compare = [&](const std::string& name, const Tensor<float>& actual) {
      if (run.has("out." + name))
        check_film_output<T>(result, run, name, actual, run.tensor("out." + name), bounds::autoencoder);
    };
    if (run.has("in.sample")) {
      const auto latents = vae.encode(context, run.tensor("in.sample"));
      compare("mean", latents.mean);
      compare("logvar", latents.logvar);
    }
    if (!run.has("in.latents")) continue;
    const auto latents = run.tensor("in.latents");
    const Index frames =
        run.has("in.num_frames") ? run.file().read<std::int32_t>("in.num_frames").data()[0] : latents.dim(0);
    const auto decoded =
        vae.decode(context, latents.reshape({-1, frames, latents.dim(1), latents.dim(2), latents.dim(3)}));
    compare("decoded", decoded.reshape({-1, decoded.dim(2), decoded.dim(3), decoded.dim(4)}));
  }
}

template <class T>
bool run_film_unet_as(const fs::path& folder, const Config& config, const ops::Context& context,
                      Result& result) {
  const auto name = config.class_name();
  if (name == "UNetSpatioTemporalConditionModel")
    run_spatio_temporal<T>(folder, config, context, result);
  else if (name == "UNet3DConditionModel")
    run_unet_3d<T>(folder, config, context, result);
  else if (name == "I2VGenXLUNet")
    run_i2vgen_xl<T>(folder, config, context, result);
  else if (name == "AutoencoderKLTemporalDecoder")
    run_temporal_autoencoder<T>(folder, config, context, result);
  else
    return false;
  return true;
}

}  // namespace

std::optional<Result> run_film_unet(const fs::path& folder, const Config& config, const Options& options) {
  Result result;
  const bool own = options.with_type(
      [&]<class T>() { return run_film_unet_as<T>(folder, config, options.context(), result); });
  if (!own) return std::nullopt;
  return result;
}

}  // namespace daguerre::conformance
