#include "daguerre/models/adapters/sd3_control_net.hpp"

#include "pipeline/controls/controls.hpp"

namespace daguerre {
namespace {

template <class T>
class SD3Control final : public Control {
 public:
  SD3Control(ControlInfo info, models::SD3ControlNet<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const ControlInfo& info() const noexcept override { return info_; }

  std::vector<Tensor<float>> read(const ops::Context&, const Tensor<float>& latents) const override {
    return {latents};
  }
  Features operator()(const ops::Context& context, const std::vector<Tensor<float>>& read,
                      const Tensor<float>& x, const Conditioning& conditioning,
                      const ControlCall& call) const override {
    Features result;
    result.transformer = network_(context, x, std::span(&call.timestep, 1), conditioning.context,
                                  conditioning.pooled, for_each_branch(read.at(0), x.dim(0)), call.scale);
    return result;
  }

 private:
  ControlInfo info_;
  models::SD3ControlNet<T> network_;
};

}  // namespace

Opened<Control> open_sd3_control_net(const ComponentSource& source, const LoadContext&) {
  const auto config = models::SD3ControlNetConfig::from(source.config());
  const auto& transformer = config.transformer;
  ControlInfo info{.name = source.name,
                   .title = "ControlNet",
                   .gives = {.kind = FeatureSizes::Kind::transformer,
                             .width = transformer.dim(),
                             .layers = transformer.num_layers},
                   .reads = ControlInfo::Reads::unshifted_latents,
                   .centred = true,
                   .latent_channels = transformer.in_channels,
                   .context_width = transformer.joint_attention_dim,
                   .context_key = "joint_attention_dim",
                   .pooled_width = transformer.pooled_projection_dim,
                   .config = source.config_path()};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Control> {
                                    return std::make_shared<const SD3Control<T>>(
                                        info, load_component<models::SD3ControlNet<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
