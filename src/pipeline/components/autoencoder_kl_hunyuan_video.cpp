#include "daguerre/models/autoencoders/autoencoder_kl_hunyuan_video.hpp"

#include "pipeline/components/components.hpp"
#include "pipeline/components/film_autoencoder.hpp"

namespace daguerre {
namespace {

/// The widest moment is behind the first convolution of the decoder's outermost level, which is given the
/// channels of the level below: a group of frames is there as they came and as they were convolved, and those
/// under the kernel.
Index widest_group_pixel(const models::AutoencoderKlHunyuanVideoConfig& config) {
  const auto& channels = config.block_out_channels;
  const Index outer = channels.front(), inner = channels.size() > 1 ? channels[1] : outer;
  const Index frames = models::FilmTiling().frames + 1;
  return static_cast<Index>(sizeof(float)) * (frames * (inner + outer) + 3 * inner);
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl_hunyuan_video(const ComponentSource& source, const LoadContext&) {
  const auto config = models::AutoencoderKlHunyuanVideoConfig::from(source.config());
  const LatentFormat format{.channels = config.latent_channels,
                            .space_ratio = config.spatial_compression_ratio,
                            .films = true,
                            .time_ratio = config.temporal_compression_ratio,
                            .scale = config.scaling_factor,
                            .mean = {},
                            .std = {},
                            .config = source.config_path(),
                            .bytes_per_pixel = widest_group_pixel(config)};
  return {format, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                                    using Network = models::AutoencoderKlHunyuanVideo<T>;
                                    return std::make_shared<const FilmAutoencoder<Network>>(
                                        format, load_component<Network>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
