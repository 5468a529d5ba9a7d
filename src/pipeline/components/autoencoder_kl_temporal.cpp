#include "daguerre/models/autoencoders/autoencoder_kl_temporal.hpp"

#include <algorithm>

#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class TemporalKlAutoencoder final : public Autoencoder {
 public:
  TemporalKlAutoencoder(LatentFormat format, models::AutoencoderKlTemporal<T> network)
      : format_(std::move(format)), network_(std::move(network)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const override {
    auto encoded = network_.encode(context, pictures);
    return {encoded.mean, encoded.std(context)};
  }
  /// Each picture is a film of one frame.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    const auto& s = latents.shape();
    const auto frames = network_.decode(context, latents.reshape({s[0], 1, s[1], s[2], s[3]}));
    return frames.reshape({s[0], frames.dim(2), frames.dim(3), frames.dim(4)});
  }
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding& decoding,
                   const FrameSink& sink) const override {
    const Index frames = latents.dim(1), chunk = decoding.chunk > 0 ? decoding.chunk : frames;
    const auto film = latents[0];
    for (Index begin = 0; begin < frames; begin += chunk) {
      context.check_stop();
      const auto some = film.slice(begin, std::min(begin + chunk, frames));
      sink(network_.decode(context, some.reshape({1, some.dim(0), some.dim(1), some.dim(2), some.dim(3)})));
    }
  }

 private:
  LatentFormat format_;
  models::AutoencoderKlTemporal<T> network_;
};

/// The widest moment is in the decoder's outermost level, in a layer along the frames, for each of which
/// there is what came, what is normed and what is convolved.
Index widest_temporal_pixel(const models::AutoencoderKlTemporalConfig& config) {
  return static_cast<Index>(sizeof(float)) * 3 * config.block_out_channels.front();
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl_temporal(const ComponentSource& source, const LoadContext&) {
  const auto config = models::AutoencoderKlTemporalConfig::from(source.config());
  const LatentFormat format{.channels = config.latent_channels,
                            .space_ratio = config.downscale(),
                            .scale = config.scaling_factor,
                            .mean = {},
                            .std = {},
                            .config = source.config_path(),
                            .bytes_per_pixel = widest_temporal_pixel(config),
                            .chunks = true};
  return {format, [=](const LoadContext& context) {
            return with_precision(
                context, Role::other,
                [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                  return std::make_shared<const TemporalKlAutoencoder<T>>(
                      format, load_component<models::AutoencoderKlTemporal<T>>(source, config, own));
                });
          }};
}

}  // namespace daguerre
