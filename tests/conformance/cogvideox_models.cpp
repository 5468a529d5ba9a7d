#include <cmath>

#include "conformance/case.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox.hpp"
#include "daguerre/models/denoisers/cogvideox_transformer.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

/// `[N, F, C, H, W]`, as CogVideoX's transformer has films, to `[N, F, H, W, C]`.
Tensor<float> frames_first(const Recorded& run, const std::string& name) {
  const auto x = run.file().read<float>(name);
  const auto frames = to_channels_last(x.reshape({-1, x.dim(2), x.dim(3), x.dim(4)}));
  return frames.reshape({x.dim(0), x.dim(1), x.dim(3), x.dim(4), x.dim(2)});
}

/// `[N, C, F, H, W]`, as its autoencoder has them.
Tensor<float> channels_first(const Recorded& run, const std::string& name) {
  const auto x = run.file().read<float>(name);
  const auto rows = to_channels_last(x.reshape({x.dim(0), x.dim(1), x.dim(2) * x.dim(3), x.dim(4)}));
  return rows.reshape({x.dim(0), x.dim(2), x.dim(3), x.dim(4), x.dim(1)});
}

/// Cosines and sines `[L, d]`, each of which serves both channels of a pair.
ops::RotaryTable recorded_rotation(const Recorded& run) {
  const auto every_other = [&](const std::string& name) {
    const auto table = run.file().read<float>(name);
    Tensor<float> result({table.dim(0), table.dim(1) / 2});
    float* out = result.data();
    for (Index i = 0; i < result.size(); ++i) out[i] = table.data()[2 * i];
    return result;
  };
  return {every_other("in.rope.0"), every_other("in.rope.1"), ops::RotaryPairs::neighbours};
}

template <class T>
void run_transformer(const fs::path& folder, const Config& config, const ops::Context& context,
                     Result& result) {
  const models::CogVideoXTransformer<T> network(models::CogVideoXTransformerConfig::from(config),
                                                loader_for(folder / "weights.safetensors", context));
  const double bound = std::is_same_v<T, float> ? bounds::network : bounds::bfloat16_network;
  for (const auto& run : recorded_runs(folder)) {
    const auto timesteps = run.tensor("in.timestep");
    models::CogVideoXInputs inputs{.sample = frames_first(run, "in.hidden_states"),
                                   .timesteps = timesteps.span(),
                                   .encoder_hidden_states = run.tensor("in.encoder_hidden_states")};
    if (run.has("in.ofs")) inputs.ofs = run.tensor("in.ofs").data()[0];
    const auto expected = frames_first(run, "out.sample");
    if (run.has("in.rope.0")) {
      const auto rotation = recorded_rotation(run);
      inputs.rotation = &rotation;
      result.checks.push_back(
          {"sample" + run.label(), test::difference(network(context, inputs), expected), bound});
      inputs.rotation = nullptr;
      const auto& sample = inputs.sample;
      const auto own =
          models::cogvideox_rotation(network.config(), sample.dim(1), sample.dim(2), sample.dim(3));
      result.checks.push_back(
          {"cosine" + run.label(), test::difference(own.cosine, rotation.cosine), bounds::block});
    }
    result.checks.push_back(
        {"sample, own angles" + run.label(), test::difference(network(context, inputs), expected), bound});
  }
}

template <class T>
void run_cogvideox_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                               Result& result) {
  const models::AutoencoderKlCogVideoX<T> vae(models::CogVideoXAutoencoderConfig::from(config),
                                              loader_for(folder / "weights.safetensors", context));
  auto tiling = vae.default_tiling();
  if (fs::exists(folder / "case.json")) {
    const auto call = Config::load(folder / "case.json");
    const auto tiled = Config::parse(call.json("tiled").value_or("{}"), call.source());
    tiling.sample_min_height =
        tiled.get("tile_sample_min_height", static_cast<int>(tiling.sample_min_height));
    tiling.sample_min_width = tiled.get("tile_sample_min_width", static_cast<int>(tiling.sample_min_width));
    tiling.overlap_height = tiled.get("tile_overlap_factor_height", tiling.overlap_height);
    tiling.overlap_width = tiled.get("tile_overlap_factor_width", tiling.overlap_width);
    tiled.finish();
  }
  const double bound = std::is_same_v<T, float> ? bounds::autoencoder : bounds::bfloat16_network;
  for (const auto& run : recorded_runs(folder)) {
    const auto* const tiles = run.label() == ":tiled" ? &tiling : nullptr;
    const auto check = [&](const std::string& name, const Tensor<float>& actual) {
      if (run.has("out." + name))
        result.checks.push_back(
            {name + run.label(), test::difference(actual, channels_first(run, "out." + name)), bound});
    };
    if (run.has("in.sample")) {
      const auto latents = vae.encode(context, channels_first(run, "in.sample"), tiles);
      check("mean", latents.mean);
      check("logvar", latents.logvar);
    }
    if (run.has("in.latents"))
      check("decoded", vae.decode(context, channels_first(run, "in.latents"), tiles));
  }
}

}  // namespace

std::optional<Result> run_cogvideox_model(const fs::path& folder, const Config& config,
                                          const Options& options) {
  const bool is_transformer = config.class_name() == "CogVideoXTransformer3DModel";
  if (!is_transformer && config.class_name() != "AutoencoderKLCogVideoX") return std::nullopt;
  Result result;
  options.with_type([&]<class T>() {
    if (is_transformer)
      run_transformer<T>(folder, config, options.context(), result);
    else
      run_cogvideox_autoencoder<T>(folder, config, options.context(), result);
  });
  return result;
}

}  // namespace daguerre::conformance
