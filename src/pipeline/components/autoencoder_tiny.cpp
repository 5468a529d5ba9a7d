#include "daguerre/models/autoencoders/autoencoder_tiny.hpp"

#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class TinyAutoencoder final : public Autoencoder {
 public:
  TinyAutoencoder(LatentFormat format, models::AutoencoderTiny<T> network)
      : format_(std::move(format)), network_(std::move(network)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const override {
    return {network_.encode(context, pictures), {}};
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return network_.decode(context, latents);
  }

 private:
  LatentFormat format_;
  models::AutoencoderTiny<T> network_;
};

}  // namespace

Opened<Autoencoder> open_autoencoder_tiny(const ComponentSource& source, const LoadContext&) {
  const auto config = models::AutoencoderTinyConfig::from(source.config());
  const LatentFormat format{.channels = config.latent_channels,
                            .space_ratio = config.downscale(),
                            .scale = config.scaling_factor,
                            .shift = config.shift_factor,
                            .mean = {},
                            .std = {},
                            .config = source.config_path(),
                            .bytes_per_pixel =
                                static_cast<Index>(sizeof(float)) * 5 * config.decoder_block_out_channels.back()};
  return {format, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                                    return std::make_shared<const TinyAutoencoder<T>>(
                                        format,
                                        load_component<models::AutoencoderTiny<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
