#include "daguerre/models/autoencoders/autoencoder_kl_wan.hpp"

#include "pipeline/components/components.hpp"
#include "pipeline/components/film_autoencoder.hpp"

namespace daguerre {
namespace {

/// The widest moment is in the outermost level of the decoder: what each of its convolutions keeps of two
/// frames, and of the frame at hand its sum, what is normed, and the two that stand before it.
Index widest_film_pixel(const models::AutoencoderKlWanConfig& config) {
  const Index convolutions = 2 * (config.num_res_blocks + 1) + 1;
  const Index numbers = config.decoder_widths().back() * (2 * convolutions + 6);
  return static_cast<Index>(sizeof(float)) * numbers / (config.patch_size * config.patch_size);
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl_wan(const ComponentSource& source, const LoadContext&) {
  const auto config = models::AutoencoderKlWanConfig::from(source.config());
  const LatentFormat format{.channels = config.z_dim,
                            .space_ratio = config.space_ratio(),
                            .films = true,
                            .time_ratio = config.time_ratio(),
                            .mean = config.latents_mean,
                            .std = config.latents_std,
                            .config = source.config_path(),
                            .bytes_per_pixel = widest_film_pixel(config)};
  return {format, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                                    using Network = models::AutoencoderKlWan<T>;
                                    return std::make_shared<const FilmAutoencoder<Network>>(
                                        format, load_component<Network>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
