#include "conformance/ltx_models.hpp"

#include <algorithm>
#include <type_traits>

#include "daguerre/models/autoencoders/autoencoder_kl_ltx.hpp"
#include "daguerre/models/denoisers/ltx_transformer.hpp"
#include "daguerre/models/upscalers/ltx_latent_upsampler.hpp"
#include "daguerre/ops/interleaved_rotary.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

/// A recorded film `[N, C, F, H, W]`, channels last.
Tensor<float> ltx_film(const Recorded& run, const std::string& name) {
  const auto film = run.file().read<float>(name);
  const auto& shape = film.shape();
  return to_channels_last(film.reshape({shape[0], shape[1], shape[2] * shape[3], shape[4]}))
      .reshape({shape[0], shape[2], shape[3], shape[4], shape[1]});
}

Index ltx_number(const Recorded& run, const char* name) {
  return run.file().read<std::int32_t>(name).span()[0];
}

/// Where a run's tokens are: recorded, or those of a grid and its scale.
Tensor<float> ltx_places(const Recorded& run) {
  if (run.has("in.video_coords")) {
    const auto recorded = run.tensor("in.video_coords");  // [N, 3, L], the same for all
    const Index length = recorded.dim(2);
    Tensor<float> result({length, 3});
    for (Index token = 0; token < length; ++token)
      for (Index axis = 0; axis < 3; ++axis)
        result.data()[token * 3 + axis] = recorded.span()[static_cast<std::size_t>(axis * length + token)];
    return result;
  }
  const auto scale = run.tensor("in.rope_interpolation_scale");
  return ops::grid_positions(
      {ltx_number(run, "in.num_frames"), ltx_number(run, "in.height"), ltx_number(run, "in.width")},
      scale.span());
}

template <class T>
void ltx_check(Result& result, const Recorded& run, const std::string& name, const Tensor<float>& actual,
               const Tensor<float>& expected, double limit) {
  result.checks.push_back({name + run.label(), test::difference(actual, expected),
                           std::is_same_v<T, float> ? limit : bounds::bfloat16_network});
}

/// How a run is cut into tiles and groups of frames: `case.json` has settings by the runs' names.
models::FilmTiling ltx_tiling(const fs::path& folder, const Recorded& run) {
  models::FilmTiling tiling{0, 0, 0, 0, 0, 0, false};
  if (!fs::exists(folder / "case.json") || run.label().empty()) return tiling;
  const auto call = Config::load(folder / "case.json");
  const auto json = call.json(run.label().substr(1));
  if (!json) return tiling;
  const auto settings = Config::parse(*json, "case.json");
  const auto read = [&](const std::string& part, Index& size, Index& stride, Index usual, Index apart) {
    size = settings.get("tile_sample_min_" + part, static_cast<int>(usual));
    stride = settings.get("tile_sample_stride_" + part, static_cast<int>(apart));
  };
  read("height", tiling.height, tiling.stride_height, 512, 448);
  read("width", tiling.width, tiling.stride_width, 512, 448);
  if (settings.get("use_framewise_decoding", false))
    read("num_frames", tiling.frames, tiling.stride_frames, 16, 8);
  return tiling;
}

}  // namespace

template <class T>
void run_ltx_transformer(const fs::path& folder, const Config& config, const ops::Context& context,
                         Result& result) {
  const models::LTXTransformer<T> network(models::LTXTransformerConfig::from(config),
                                          loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto timesteps = run.tensor("in.timestep");
    const auto mask =
        run.has("in.encoder_attention_mask") ? run.tensor("in.encoder_attention_mask") : Tensor<float>();
    ltx_check<T>(result, run, "sample",
                 network(context, {.hidden_states = run.tensor("in.hidden_states"),
                                   .positions = ltx_places(run),
                                   .timesteps = timesteps.span(),
                                   .encoder_hidden_states = run.tensor("in.encoder_hidden_states"),
                                   .encoder_attention_mask = mask}),
                 run.tensor("out.sample"), bounds::network);
  }
}

template <class T>
void run_ltx_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                         Result& result) {
  const models::AutoencoderKlLtx<T> vae(models::AutoencoderKlLtxConfig::from(config),
                                        loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto tiling = ltx_tiling(folder, run);
    if (run.has("in.sample")) {
      const auto latents = vae.encode_tiled(context, ltx_film(run, "in.sample"), tiling);
      ltx_check<T>(result, run, "mean", latents.mean, ltx_film(run, "out.mean"), bounds::autoencoder);
      ltx_check<T>(result, run, "logvar", latents.logvar, ltx_film(run, "out.logvar"), bounds::autoencoder);
    }
    if (!run.has("in.latents")) continue;
    models::LTXDecoding decoding;
    if (run.has("in.temb")) decoding.timestep = run.tensor("in.temb").span()[0];
    int drawn = 0;
    decoding.noise = [&](Index height, Index width) {
      const auto plane = run.tensor("in.noise.dec." + std::to_string(drawn++));
      if (!(plane.shape() == Shape{height, width}))
        throw ArgumentError("conformance", "noise of another shape was drawn");
      return plane;
    };
    ltx_check<T>(result, run, "decoded",
                 vae.decode_tiled(context, ltx_film(run, "in.latents"), tiling, decoding),
                 ltx_film(run, "out.decoded"), bounds::autoencoder);
  }
}

template <class T>
void run_ltx_latent_upsampler(const fs::path& folder, const Config& config, const ops::Context& context,
                              Result& result) {
  const models::LTXLatentUpsampler<T> network(models::LTXLatentUpsamplerConfig::from(config),
                                              loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder))
    ltx_check<T>(result, run, "sample", network(context, ltx_film(run, "in.hidden_states")),
                 ltx_film(run, "out.sample"), bounds::network);
}

#define DAGUERRE_LTX_CASE(run_case)                                                            \
  template void run_case<float>(const fs::path&, const Config&, const ops::Context&, Result&); \
  template void run_case<bfloat16>(const fs::path&, const Config&, const ops::Context&, Result&)
DAGUERRE_LTX_CASE(run_ltx_transformer);
DAGUERRE_LTX_CASE(run_ltx_autoencoder);
DAGUERRE_LTX_CASE(run_ltx_latent_upsampler);
#undef DAGUERRE_LTX_CASE

}  // namespace daguerre::conformance
