#include "daguerre/models/denoisers/flux_transformer.hpp"

#include <array>
#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/components/flux_tokens.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

constexpr const char* flux_reference = "reference_latents";

/// Latents' sides that FLUX.1 was trained at: pictures of 1024 x 1024.
constexpr Index flux_sample_size = 128;

template <class T>
class FluxDenoiser final : public Denoiser {
 public:
  FluxDenoiser(DenoiserInfo info, models::FluxTransformer<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const auto axes = static_cast<Index>(network_.config().axes_dims_rope.size());
    // Of 64 channels of a patch and more of what joins them, all in the order of channels: as if they were
    // channels of the latents.
    const auto sample =
        conditioning.concat.empty() ? x : ops::concat_channels(context, x, conditioning.concat);
    const float time = timestep / 1000.0f;
    auto inputs = flux_inputs(context, sample, time, conditioning, axes);
    const Index length = inputs.hidden_states.dim(1);
    if (const auto found = conditioning.extras.find(flux_reference); found != conditioning.extras.end()) {
      const auto& reference = found->second;
      const auto tokens = ops::patchify(context, reference, flux_patch, flux_order);
      inputs.hidden_states = ops::concat<float>(context, std::array{inputs.hidden_states, tokens}, 1);
      inputs.img_ids = concat_leading<float>(std::array{inputs.img_ids, picture_ids(reference, axes, 1.0f)});
    }
    const auto tokens =
        ops::narrow(context, network_(context, inputs, &conditioning.features.transformer), 1, 0, length);
    return ops::unpatchify(context, tokens, x.dim(1) / flux_patch, x.dim(2) / flux_patch, flux_patch,
                           flux_order);
  }

 private:
  DenoiserInfo info_;
  models::FluxTransformer<T> network_;
};

}  // namespace

Opened<Denoiser> open_flux_transformer(const ComponentSource& source, const LoadContext&) {
  const auto config = models::FluxTransformerConfig::from(source.config());
  if (config.in_channels % flux_patch_area != 0 || config.out_channels % flux_patch_area != 0 ||
      config.axes_dims_rope.size() != 3)
    throw ConfigError(pipeline_name, source.config_path() + ": " + std::to_string(config.in_channels) +
                                         " channels in and " + std::to_string(config.out_channels) +
                                         " out on " + std::to_string(config.axes_dims_rope.size()) +
                                         " axes are not those of patches of 2 x 2 latents on 3 axes");
  DenoiserInfo info{.in_channels = config.in_channels / flux_patch_area,
                    .out_channels = config.out_channels / flux_patch_area,
                    .sample_height = flux_sample_size,
                    .sample_width = flux_sample_size,
                    .side_multiple = flux_patch,
                    .context_width = config.joint_attention_dim,
                    .context_key = "joint_attention_dim",
                    .reads_pooled = true,
                    .pooled_width = config.pooled_projection_dim,
                    .embeds_guidance = config.guidance_embeds,
                    .extras = {flux_reference},
                    .takes = {.kind = FeatureSizes::Kind::transformer,
                              .width = config.dim(),
                              .layers = config.num_layers,
                              .single_layers = config.num_single_layers},
                    .config = source.config_path()};
  if (config.guidance_embeds) info.extras.emplace_back(flux_guidance);
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const FluxDenoiser<T>>(
                                        info,
                                        load_component<models::FluxTransformer<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
