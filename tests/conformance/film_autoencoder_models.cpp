#include <map>

#include "conformance/case.hpp"
#include "daguerre/core/layout.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_hunyuan_video.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_mochi.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_wan.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

/// `[N, C, F, H, W]` brought to `[N, F, H, W, C]`.
Tensor<float> recorded_film(const Recorded& run, const std::string& name) {
  const auto film = run.file().read<float>(name);
  if (film.rank() != 5) throw ConfigError("conformance", name + " is no film: " + to_string(film.shape()));
  const Index frames = film.dim(2), height = film.dim(3), width = film.dim(4);
  return to_channels_last(film.reshape({film.dim(0), film.dim(1), frames * height, width}))
      .reshape({film.dim(0), frames, height, width, film.dim(1)});
}

/// The settings of case.json's entry of that name, over the class's own.
models::FilmTiling recorded_tiling(const fs::path& folder, const std::string& name) {
  models::FilmTiling tiling;
  const auto file = folder / "case.json";
  if (!fs::exists(file)) return tiling;
  const auto settings = Config::load(file).json(name);
  if (!settings) return tiling;
  const auto config = Config::parse(*settings, file.string());
  const auto read = [&](const char* key, Index& value) { value = config.get(key, static_cast<int>(value)); };
  read("tile_sample_min_height", tiling.height);
  read("tile_sample_min_width", tiling.width);
  read("tile_sample_min_num_frames", tiling.frames);
  read("tile_sample_stride_height", tiling.stride_height);
  read("tile_sample_stride_width", tiling.stride_width);
  read("tile_sample_stride_num_frames", tiling.stride_frames);
  config.finish();
  return tiling;
}

template <class T>
class FilmChecks {
 public:
  FilmChecks(const Recorded& run, Result& result) : run_(run), result_(result) {}

  void check(const std::string& name, const Tensor<float>& actual) {
    if (!run_.has("out." + name)) return;
    result_.checks.push_back({name + run_.label(),
                              test::difference(actual, recorded_film(run_, "out." + name)),
                              std::is_same_v<T, float> ? bounds::autoencoder : bounds::bfloat16_network});
  }
  void check(const models::LatentDistribution& latents) {
    check("mean", latents.mean);
    check("logvar", latents.logvar);
  }

 private:
  const Recorded& run_;
  Result& result_;
};

/// Both ways of a run, in tiles where it says so.
template <class T, class Network>
void run_both_ways(const Network& vae, const Recorded& run, const ops::Context& context,
                   const models::FilmTiling& tiling, Result& result) {
  FilmChecks<T> checks(run, result);
  const bool tiled = run.label() == ":tiled";
  if (run.has("in.sample")) {
    const auto film = recorded_film(run, "in.sample");
    checks.check(tiled ? vae.encode_tiled(context, film, tiling) : vae.encode(context, film));
  }
  if (!run.has("in.latents")) return;
  const auto latents = recorded_film(run, "in.latents");
  checks.check("decoded", tiled ? vae.decode_tiled(context, latents, tiling) : vae.decode(context, latents));
}

template <class T>
void run_wan_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                         Result& result) {
  const models::AutoencoderKlWan<T> vae(models::AutoencoderKlWanConfig::from(config),
                                        loader_for(folder / "weights.safetensors", context));
  auto tiling = recorded_tiling(folder, "tiled");
  tiling.clamps = config.get("_diffusers_version", "") != std::string("0.35.2");
  for (const auto& run : recorded_runs(folder)) run_both_ways<T>(vae, run, context, tiling, result);
}

template <class T>
void run_mochi_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                           Result& result) {
  const models::AutoencoderKlMochi<T> vae(models::AutoencoderKlMochiConfig::from(config),
                                          loader_for(folder / "weights.safetensors", context));
  const auto tiling = recorded_tiling(folder, "tiled");
  for (const auto& run : recorded_runs(folder)) run_both_ways<T>(vae, run, context, tiling, result);
}

template <class T>
void run_hunyuan_video_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                                   Result& result) {
  const models::AutoencoderKlHunyuanVideo<T> vae(models::AutoencoderKlHunyuanVideoConfig::from(config),
                                                 loader_for(folder / "weights.safetensors", context));
  const auto tiling = recorded_tiling(folder, "tiled"), groups = recorded_tiling(folder, "framewise");
  for (const auto& run : recorded_runs(folder)) {
    if (run.label() != ":framewise") {
      run_both_ways<T>(vae, run, context, tiling, result);
      continue;
    }
    FilmChecks<T> checks(run, result);
    checks.check(vae.encode(context, recorded_film(run, "in.sample"), groups));
    checks.check("decoded", vae.decode(context, recorded_film(run, "in.latents"), groups));
  }
}

template <class T>
using RunFilmAutoencoder = void (*)(const fs::path&, const Config&, const ops::Context&, Result&);

}  // namespace

std::optional<Result> run_film_autoencoder(const fs::path& folder, const Config& config,
                                           const Options& options) {
  return options.with_type([&]<class T>() -> std::optional<Result> {
    static const std::map<std::string, RunFilmAutoencoder<T>> runs{
        {"AutoencoderKLHunyuanVideo", run_hunyuan_video_autoencoder<T>},
        {"AutoencoderKLMochi", run_mochi_autoencoder<T>},
        {"AutoencoderKLWan", run_wan_autoencoder<T>},
    };
    const auto found = runs.find(config.class_name());
    if (found == runs.end()) return std::nullopt;
    Result result;
    found->second(folder, config, options.context(), result);
    return result;
  });
}

}  // namespace daguerre::conformance
