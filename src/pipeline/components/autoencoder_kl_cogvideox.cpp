#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox.hpp"

#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class CogVideoXAutoencoder final : public Autoencoder {
 public:
  CogVideoXAutoencoder(LatentFormat format, models::AutoencoderKlCogVideoX<T> network)
      : format_(std::move(format)), network_(std::move(network)) {}

  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context& context, const Tensor<float>& films) const override {
    auto encoded = network_.encode(context, films);
    return {encoded.mean, encoded.std(context)};
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return network_.decode(context, latents);
  }
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding&,
                   const FrameSink& sink) const override {
    network_.decode(context, latents, sink);
  }

 private:
  LatentFormat format_;
  models::AutoencoderKlCogVideoX<T> network_;
};

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
      .config = source.config_path()};
  return {format, [=](const LoadContext& context) {
            return with_precision(
                context, Role::other,
                [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Autoencoder> {
                  return std::make_shared<const CogVideoXAutoencoder<T>>(
                      format, load_component<models::AutoencoderKlCogVideoX<T>>(source, config, own));
                });
          }};
}

}  // namespace daguerre
