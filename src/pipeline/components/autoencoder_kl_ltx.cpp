#include "daguerre/models/autoencoders/autoencoder_kl_ltx.hpp"

#include <algorithm>
#include <utility>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/latents.hpp"

namespace daguerre {
namespace {

template <class T>
class LTXAutoencoder final : public Autoencoder {
 public:
  LTXAutoencoder(LatentFormat format, models::AutoencoderKlLtx<T> network)
      : format_(std::move(format)), network_(std::move(network)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& films) const override {
    auto encoded = network_.encode(context, films);
    return {encoded.mean, encoded.std(context)};
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    const auto [noisy, decoding] = prepared(context, latents, {});
    return network_.decode(context, noisy, decoding);
  }
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding& given,
                   const FrameSink& sink) const override {
    const auto [noisy, decoding] = prepared(context, latents, given);
    if (given.chunk == 0) return network_.decode(context, noisy, decoding, sink);
    // Groups of so many frames, of which each half is blended into the next.
    auto tiling = models::AutoencoderKlLtx<T>::default_tiling();
    const Index half = std::max<Index>(1, given.chunk / (2 * format_.time_ratio)) * format_.time_ratio;
    tiling.height = 0;
    tiling.frames = 2 * half;
    tiling.stride_frames = half;
    network_.decode_tiled(context, noisy, tiling, decoding, sink);
  }

 private:
  struct Prepared {
    Tensor<float> latents;
    models::LTXDecoding decoding;
  };
  /// Decoders that are told how much noise latents hold are given some.
  Prepared prepared(const ops::Context& context, const Tensor<float>& latents,
                    const FilmDecoding& given) const {
    const auto noise = [&context, draw = given.noise](const Shape& shape) {
      return draw ? draw(shape) : ops::full(context, shape, 0.0f);
    };
    Prepared result{latents, {}};
    result.decoding.noise = [noise](Index height, Index width) {
      return noise({1, height, width}).reshape({height, width});
    };
    if (!network_.config().decoder.timestep_conditioning) return result;
    result.decoding.timestep = given.timestep.value_or(0.0f);
    const float part = given.noise_part.value_or(*result.decoding.timestep);
    result.latents =
        ops::add(context, affine(latents, 1.0f - part, 0.0f), affine(noise(latents.shape()), part, 0.0f));
    return result;
  }

  LatentFormat format_;
  models::AutoencoderKlLtx<T> network_;
};

/// The widest moment is in the decoder's outermost level, of whose places each stands for a patch: what is
/// normed, what comes of it, and the shortcut.
Index widest_ltx_pixel(const models::AutoencoderKlLtxConfig& config) {
  const Index channels = std::max(config.decoder.blocks.back().channels, config.decoder.pixel_channels);
  const Index patch = config.patch_size * config.patch_size * config.patch_size_t;
  return static_cast<Index>(sizeof(float)) * 4 * channels / patch;
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl_ltx(const ComponentSource& source, const LoadContext& context) {
  const auto config = models::AutoencoderKlLtxConfig::from(source.config());
  LatentFormat format{.channels = config.latent_channels,
                      .space_ratio = config.space_ratio(),
                      .films = true,
                      .time_ratio = config.time_ratio(),
                      .scale = config.scaling_factor,
                      .mean = {},
                      .std = {},
                      .config = source.config_path(),
                      .bytes_per_pixel = widest_ltx_pixel(config)};
  // What latents are normalised by stands among the weights.
  const auto weights = source.weights(
      {.allow_trailing_bytes = context.allow_trailing_bytes, .threads = context.compute.threads});
  for (const auto& [name, values] : {std::pair{"latents_mean", &format.mean}, {"latents_std", &format.std}}) {
    const auto tensor = weights.tensor(name, {config.latent_channels});
    values->assign(tensor.span().begin(), tensor.span().end());
  }
  return {format, [=](const LoadContext& now) {
            return with_precision(
                now, Role::other, [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                  return std::make_shared<const LTXAutoencoder<T>>(
                      format, load_component<models::AutoencoderKlLtx<T>>(source, config, own));
                });
          }};
}

}  // namespace daguerre
