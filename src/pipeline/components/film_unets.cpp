#include <span>

#include "daguerre/models/denoisers/i2vgen_xl_unet.hpp"
#include "daguerre/models/denoisers/unet_3d_condition.hpp"
#include "daguerre/models/denoisers/unet_spatio_temporal.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/name.hpp"

/// U-Nets whose samples are films.
namespace daguerre {
namespace {

/// Throws ArgumentError where the denoiser was not told of it.
const Tensor<float>& told(const Conditioning& conditioning, const char* name) {
  const auto found = conditioning.extras.find(name);
  if (found == conditioning.extras.end())
    throw ArgumentError(pipeline_name, std::string("the denoiser needs the extra \"") + name + "\"");
  return found->second;
}

/// `run(network, context, x, timestep, conditioning)` behind the interface.
template <class Network, class Run>
class FilmUNet final : public Denoiser {
 public:
  FilmUNet(DenoiserInfo info, Network network, Run run)
      : info_(std::move(info)), network_(std::move(network)), run_(std::move(run)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const auto sample =
        conditioning.concat.empty() ? x : ops::concat_channels(context, x, conditioning.concat);
    return run_(network_, context, sample, std::span<const float>(&timestep, 1), conditioning);
  }

 private:
  DenoiserInfo info_;
  Network network_;
  Run run_;
};

template <template <class> class Network, class Config, class Run>
Opened<Denoiser> opened_film_unet(const ComponentSource& source, const DenoiserInfo& info,
                                  const Config& config, const Run& run) {
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const FilmUNet<Network<T>, Run>>(
                                        info, load_component<Network<T>>(source, config, own), run);
                                  });
          }};
}

template <class Config>
DenoiserInfo film_unet_info(const Config& config, Index in_channels, const ComponentSource& source) {
  return {.in_channels = in_channels,
          .out_channels = config.shape.out_channels,
          .sample_height = config.sample_height,
          .sample_width = config.sample_width,
          .context_width = config.cross_attention_dim,
          .config = source.config_path(),
          .wraps = true,
          .films = true};
}

}  // namespace

Opened<Denoiser> open_unet_spatio_temporal(const ComponentSource& source, const LoadContext&) {
  const auto config = models::UNetSpatioTemporalConfig::from(source.config());
  auto info = film_unet_info(config, config.shape.in_channels, source);
  info.extras = {"time_ids"};
  info.sample_frames = config.num_frames;
  // What the pipeline makes whatever the configuration, whose size is a square's of as many pixels, says.
  info.sample_height = 72;
  info.sample_width = 128;
  return opened_film_unet<models::UNetSpatioTemporal>(
      source, info, config,
      [](const auto& network, const ops::Context& context, const Tensor<float>& sample,
         std::span<const float> timesteps, const Conditioning& conditioning) {
        return network(context, sample, timesteps, conditioning.context, told(conditioning, "time_ids"));
      });
}

Opened<Denoiser> open_unet_3d_condition(const ComponentSource& source, const LoadContext&) {
  const auto config = models::UNet3DConditionConfig::from(source.config());
  auto info = film_unet_info(config, config.shape.in_channels, source);
  info.takes_free_u = true;
  return opened_film_unet<models::UNet3DCondition>(
      source, info, config,
      [](const auto& network, const ops::Context& context, const Tensor<float>& sample,
         std::span<const float> timesteps, const Conditioning& conditioning) {
        return network(context, sample, timesteps, conditioning.context, {}, conditioning.free_u);
      });
}

Opened<Denoiser> open_i2vgen_xl_unet(const ComponentSource& source, const LoadContext&) {
  const auto config = models::I2VGenXLUNetConfig::from(source.config());
  auto info = film_unet_info(config, config.in_channels, source);
  info.extras = {"fps", "image_embeds", "image_latents"};
  info.takes_free_u = true;
  info.sample_height = 88;  // as above
  info.sample_width = 160;
  return opened_film_unet<models::I2VGenXLUNet>(
      source, info, config,
      [](const auto& network, const ops::Context& context, const Tensor<float>& sample,
         std::span<const float> timesteps, const Conditioning& conditioning) {
        const auto& fps = told(conditioning, "fps");
        return network(context, sample, timesteps,
                       {.encoder_hidden_states = conditioning.context,
                        .image_embeddings = told(conditioning, "image_embeds"),
                        .image_latents = told(conditioning, "image_latents"),
                        .fps = fps.span(),
                        .free_u = conditioning.free_u});
      });
}

}  // namespace daguerre
