#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox.hpp"

#include "pipeline/components/components.hpp"
#include "pipeline/components/film_autoencoder.hpp"

namespace daguerre {
namespace {

/// What the decoder's convolutions keep of two frames each, and the widest moment of a chunk: behind the
/// first convolution of the outermost level, which is given the channels of the level below, all frames that
/// the first latents stand for are there as they came and as they were convolved, and those under the kernel.
Index widest_cogvideox_pixel(const models::CogVideoXAutoencoderConfig& config) {
  const auto& channels = config.block_out_channels;
  const Index outer = channels.front(), inner = channels.size() > 1 ? channels[1] : outer;
  const Index frames = 2 * config.temporal_compression_ratio + 1;
  Index kept = 2 * outer, pixels = 1;  // the last convolution's
  for (std::size_t i = 0; i < channels.size(); ++i, pixels *= 4) {
    const Index given = i + 1 < channels.size() ? channels[i + 1] : channels[i];
    kept += 2 * (given + (2 * config.layers_per_block + 1) * channels[i]) / pixels;
  }
  return static_cast<Index>(sizeof(float)) * (kept + frames * (inner + outer) + 3 * inner);
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl_cogvideox(const ComponentSource& source, const LoadContext&) {
  const auto config = models::CogVideoXAutoencoderConfig::from(source.config());
  const LatentFormat format{
      .channels = config.latent_channels,
      .space_ratio = config.downscale(),
      .films = true,
      .time_ratio = config.temporal_compression_ratio,
      .scale = config.scaling_factor,
      .mean = {},
      .std = {},
      .condition_scale = config.invert_scale_latents ? 1.0f / config.scaling_factor : config.scaling_factor,
      .config = source.config_path(),
      .bytes_per_pixel = widest_cogvideox_pixel(config)};
  return {format, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                                    using Network = models::AutoencoderKlCogVideoX<T>;
                                    return std::make_shared<const FilmAutoencoder<Network>>(
                                        format, load_component<Network>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
