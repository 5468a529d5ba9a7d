#include "daguerre/models/autoencoders/autoencoder_kl.hpp"

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class KlAutoencoder final : public Autoencoder {
 public:
  KlAutoencoder(LatentFormat format, models::AutoencoderKl<T> network)
      : format_(std::move(format)), network_(std::move(network)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const override {
    auto encoded = network_.encode(context, pictures);
    return {encoded.mean, encoded.std(context)};
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return network_.decode(context, latents);
  }

 private:
  LatentFormat format_;
  models::AutoencoderKl<T> network_;
};

/// The widest moment is in the outermost level of the decoder, or in the step up to it: maps of the level below
/// as they were and doubled, or two of the level beside what is normed and the shortcut.
Index widest_pixel(const models::AutoencoderKlConfig& config) {
  const auto& channels = config.block_out_channels;
  const Index outer = channels.front(), inner = channels.size() > 1 ? channels[1] : outer;
  return static_cast<Index>(sizeof(float)) * (2 * inner + 3 * outer);
}

}  // namespace

Opened<Autoencoder> open_autoencoder_kl(const ComponentSource& source, const LoadContext&) {
  const auto config = models::AutoencoderKlConfig::from(source.config());
  const LatentFormat format{.channels = config.latent_channels,
                            .space_ratio = config.downscale(),
                            .scale = config.scaling_factor,
                            .shift = config.shift_factor,
                            .mean = config.latents_mean,
                            .std = config.latents_std,
                            .config = source.config_path(),
                            .bytes_per_pixel = widest_pixel(config)};
  return {format, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                                    return std::make_shared<const KlAutoencoder<T>>(
                                        format,
                                        load_component<models::AutoencoderKl<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
