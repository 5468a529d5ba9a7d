#include "daguerre/models/denoisers/pixart_transformer.hpp"

#include <span>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

constexpr const char* pixart_resolution = "resolution";
constexpr const char* pixart_aspect_ratio = "aspect_ratio";

template <class T>
class PixArtDenoiser final : public Denoiser {
 public:
  PixArtDenoiser(DenoiserInfo info, models::PixArtTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const auto extra = [&](const char* name) {
      const auto found = conditioning.extras.find(name);
      return found == conditioning.extras.end() ? std::span<const float>() : found->second.span();
    };
    const auto output = network_(context, {.sample = x,
                                           .timesteps = std::span(&timestep, 1),
                                           .encoder_hidden_states = conditioning.context,
                                           .encoder_attention_mask = conditioning.mask,
                                           .resolution = extra(pixart_resolution),
                                           .aspect_ratio = extra(pixart_aspect_ratio)});
    // The samplers of these models know no learned variance.
    return ops::narrow(context, output, -1, 0, info_.out_channels);
  }

 private:
  DenoiserInfo info_;
  models::PixArtTransformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_pixart_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::PixArtTransformerConfig::from(source.config());
  DenoiserInfo info{.in_channels = config.in_channels,
                    .out_channels = config.out_channels == 2 * config.in_channels ? config.in_channels
                                                                                  : config.out_channels,
                    .sample_height = config.sample_size,
                    .sample_width = config.sample_size,
                    .side_multiple = config.patch_size,
                    .context_width = config.caption_channels,
                    .context_key = "caption_channels",
                    .config = source.config_path()};
  if (config.use_additional_conditions) info.extras = {pixart_resolution, pixart_aspect_ratio};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const PixArtDenoiser<T>>(
                                        info,
                                        load_component<models::PixArtTransformer<T>>(source, config, own));
                                  });
          }};
}

Opened<Denoiser> open_old_transformer(const ComponentSource& source, const LoadContext& context) {
  return models::PixArtTransformerConfig::is_old(source.config()) ? open_pixart_transformer(source, context)
                                                                  : open_dit(source, context);
}

}  // namespace daguerre
