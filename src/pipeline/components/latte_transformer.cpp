#include "daguerre/models/denoisers/latte_transformer.hpp"

#include <span>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

constexpr const char* latte_temporal = "temporal_attentions";

template <class T>
class LatteDenoiser final : public Denoiser {
 public:
  LatteDenoiser(DenoiserInfo info, models::LatteTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const auto found = conditioning.extras.find(latte_temporal);
    const bool moves = found == conditioning.extras.end() || found->second.span()[0] != 0.0f;
    const auto output = network_(context, {.sample = x,
                                           .timesteps = std::span(&timestep, 1),
                                           .encoder_hidden_states = conditioning.context,
                                           .temporal_attentions = moves});
    // The samplers of these models know no learned variance.
    return ops::narrow(context, output, -1, 0, info_.out_channels);
  }

 private:
  DenoiserInfo info_;
  models::LatteTransformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_latte_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::LatteTransformerConfig::from(source.config());
  const DenoiserInfo info{.in_channels = config.in_channels,
                          .out_channels = config.out_channels == 2 * config.in_channels ? config.in_channels
                                                                                        : config.out_channels,
                          .sample_height = config.sample_size,
                          .sample_width = config.sample_size,
                          .side_multiple = config.patch_size,
                          .context_width = config.caption_channels,
                          .context_key = "caption_channels",
                          .extras = {latte_temporal},
                          .config = source.config_path(),
                          .films = true};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const LatteDenoiser<T>>(
                                        info,
                                        load_component<models::LatteTransformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
