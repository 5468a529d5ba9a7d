#include "daguerre/models/adapters/flux_control_net.hpp"

#include "pipeline/components/flux_tokens.hpp"
#include "pipeline/controls/controls.hpp"

namespace daguerre {
namespace {

template <class T>
class FluxControl final : public Control {
 public:
  FluxControl(ControlInfo info, models::FluxControlNet<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const ControlInfo& info() const noexcept override { return info_; }

  std::vector<Tensor<float>> read(const ops::Context& context, const Tensor<float>& picture) const override {
    if (info_.reads == ControlInfo::Reads::pixels) return {network_.embed(context, picture)};
    return {ops::patchify(context, picture, flux_patch, flux_order)};
  }
  Features operator()(const ops::Context& context, const std::vector<Tensor<float>>& read,
                      const Tensor<float>& x, const Conditioning& conditioning,
                      const ControlCall& call) const override {
    const auto& config = network_.config().transformer;
    const float time = call.timestep / 1000.0f;
    auto inputs =
        flux_inputs(context, x, time, conditioning, static_cast<Index>(config.axes_dims_rope.size()));
    // It may read the scale where the transformer does not, and the other way round.
    if (!config.guidance_embeds)
      inputs.guidance = {};
    else if (inputs.guidance.empty())
      inputs.guidance = std::span(&call.guidance_scale, 1);
    Features result;
    result.transformer =
        network_(context, inputs, for_each_branch(read.at(0), x.dim(0)), call.mode, call.scale);
    return result;
  }

 private:
  ControlInfo info_;
  models::FluxControlNet<T> network_;
};

}  // namespace

Opened<Control> open_flux_control_net(const ComponentSource& source, const LoadContext&) {
  const auto config = models::FluxControlNetConfig::from(source.config());
  const auto& transformer = config.transformer;
  ControlInfo info{.name = source.name,
                   .title = "ControlNet",
                   .gives = {.kind = FeatureSizes::Kind::transformer,
                             .width = transformer.dim(),
                             .layers = transformer.num_layers,
                             .single_layers = transformer.num_single_layers},
                   .reads = config.picture ? ControlInfo::Reads::pixels : ControlInfo::Reads::latents,
                   .centred = true,
                   .picture_ratio = config.picture ? config.picture->ratio() : 0,
                   .latent_channels = transformer.in_channels / flux_patch_area,
                   .context_width = transformer.joint_attention_dim,
                   .context_key = "joint_attention_dim",
                   .pooled_width = transformer.pooled_projection_dim,
                   .modes = config.num_mode,
                   .config = source.config_path()};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Control> {
                                    return std::make_shared<const FluxControl<T>>(
                                        info, load_component<models::FluxControlNet<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
