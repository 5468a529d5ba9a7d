#include "daguerre/models/adapters/control_net.hpp"

#include "pipeline/controls/controls.hpp"

namespace daguerre {
namespace {

constexpr const char* control_time_ids = "time_ids";

template <class T>
class UNetControlNet final : public Control {
 public:
  UNetControlNet(ControlInfo info, models::ControlNet<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const ControlInfo& info() const noexcept override { return info_; }

  std::vector<Tensor<float>> read(const ops::Context& context, const Tensor<float>& picture) const override {
    return {network_.embed(context, picture)};
  }
  Features operator()(const ops::Context& context, const std::vector<Tensor<float>>& read,
                      const Tensor<float>& x, const Conditioning& conditioning,
                      const ControlCall& call) const override {
    models::UNet2DConditionInputs inputs;
    inputs.encoder_hidden_states = conditioning.context;
    inputs.encoder_attention_mask = conditioning.mask;
    if (network_.config().unet.addition.kind == models::AdditionEmbeddingOptions::Kind::text_time) {
      inputs.text_embeds = conditioning.pooled;
      if (const auto ids = conditioning.extras.find(control_time_ids); ids != conditioning.extras.end())
        inputs.time_ids = ids->second;
    }
    Features result;
    result.unet = network_(context, x, std::span(&call.timestep, 1), inputs,
                           for_each_branch(read.at(0), x.dim(0)), {call.scale, call.guess_mode});
    return result;
  }

 private:
  ControlInfo info_;
  models::ControlNet<T> network_;
};

}  // namespace

Opened<Control> open_control_net(const ComponentSource& source, const LoadContext&) {
  const auto config = models::ControlNetConfig::from(source.config());
  const auto& shape = config.unet.shape;
  ControlInfo info{.name = source.name,
                   .title = "ControlNet",
                   .gives = {.kind = FeatureSizes::Kind::unet,
                             .residuals = shape.skip_channels(),
                             .blocks = {shape.levels.back().channels}},
                   .picture_channels = config.picture.in_channels,
                   .picture_ratio = config.picture.ratio(),
                   .latent_channels = shape.in_channels,
                   .context_width = config.unet.cross_attention_dim(),
                   .context_key = "cross_attention_dim",
                   .takes_guess_mode = true,
                   .guesses_always = config.global_pool_conditions,
                   .config = source.config_path()};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Control> {
                                    return std::make_shared<const UNetControlNet<T>>(
                                        info, load_component<models::ControlNet<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
