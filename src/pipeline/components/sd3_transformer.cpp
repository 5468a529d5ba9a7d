#include "daguerre/models/denoisers/sd3_transformer.hpp"

#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class SD3Denoiser final : public Denoiser {
 public:
  SD3Denoiser(DenoiserInfo info, models::SD3Transformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const auto sample =
        conditioning.concat.empty() ? x : ops::concat_channels(context, x, conditioning.concat);
    return network_(context, sample, std::span(&timestep, 1), conditioning.context, conditioning.pooled,
                    &conditioning.features.transformer);
  }

 private:
  DenoiserInfo info_;
  models::SD3Transformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_sd3_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::SD3TransformerConfig::from(source.config());
  const bool is_first = !config.has_qk_norm && config.dual_attention_layers.empty();
  const DenoiserInfo info{
      .in_channels = config.in_channels,
      .out_channels = config.out_channels,
      .sample_height = config.sample_size,
      .sample_width = config.sample_size,
      .side_multiple = config.patch_size,
      .largest_side = config.pos_embed_max_size * config.patch_size,
      .context_width = config.joint_attention_dim,
      .context_key = "joint_attention_dim",
      .reads_pooled = true,
      .pooled_width = config.pooled_projection_dim,
      .takes = {.kind = FeatureSizes::Kind::transformer, .width = config.dim(), .layers = config.num_layers},
      .kind = is_first                               ? "sd3"
              : config.dual_attention_layers.empty() ? "sd3.5-large"
                                                     : "sd3.5-medium",
      .config = source.config_path()};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const SD3Denoiser<T>>(
                                        info, load_component<models::SD3Transformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
