#include "daguerre/models/autoencoders/autoencoder_kl_mochi.hpp"

#include "pipeline/components/components.hpp"
#include "pipeline/components/film_autoencoder.hpp"

namespace daguerre {
namespace {

/// The widest moment is in the outermost level of the decoder, as Wan's.
Index widest_mochi_pixel(const models::AutoencoderKlMochiConfig& config) {
  const Index convolutions = 2 * config.layers_per_block.front();
  return static_cast<Index>(sizeof(float)) * config.decoder_block_out_channels.front() *
         (2 * convolutions + 6);
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl_mochi(const ComponentSource& source, const LoadContext&) {
  const auto config = models::AutoencoderKlMochiConfig::from(source.config());
  const LatentFormat format{.channels = config.latent_channels,
                            .space_ratio = config.space_ratio(),
                            .films = true,
                            .time_ratio = config.time_ratio(),
                            .scale = config.scaling_factor,
                            .mean = config.latents_mean,
                            .std = config.latents_std,
                            .config = source.config_path(),
                            .bytes_per_pixel = widest_mochi_pixel(config)};
  return {format, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                                    using Network = models::AutoencoderKlMochi<T>;
                                    return std::make_shared<const FilmAutoencoder<Network>>(
                                        format, load_component<Network>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
