#include "daguerre/models/denoisers/mochi_transformer.hpp"

#include <span>

#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

/// Latents' sides that Mochi 1 was trained at: films of 480 x 848.
constexpr Index mochi_sample_height = 60, mochi_sample_width = 106;

template <class T>
class MochiDenoiser final : public Denoiser {
 public:
  MochiDenoiser(DenoiserInfo info, models::MochiTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    return network_(context, {.sample = x,
                              .timesteps = std::span(&timestep, 1),
                              .encoder_hidden_states = conditioning.context,
                              .encoder_attention_mask = conditioning.mask});
  }

 private:
  DenoiserInfo info_;
  models::MochiTransformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_mochi_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::MochiTransformerConfig::from(source.config());
  const DenoiserInfo info{.in_channels = config.in_channels,
                          .out_channels = config.out_channels,
                          .sample_height = mochi_sample_height,
                          .sample_width = mochi_sample_width,
                          .side_multiple = config.patch_size,
                          .context_width = config.text_embed_dim,
                          .context_key = "text_embed_dim",
                          .config = source.config_path(),
                          .films = true};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const MochiDenoiser<T>>(
                                        info,
                                        load_component<models::MochiTransformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
