#include "daguerre/models/adapters/control_net.hpp"

#include "daguerre/ops/elementwise.hpp"
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
  std::vector<Tensor<float>> read_film(const ops::Context& context, const Tensor<float>& pictures,
                                       std::span<const Index> frames, Index count) const override {
    if (!network_.config().sparse) return Control::read_film(context, pictures, frames, count);
    const auto marked = [&](const Tensor<float>& picture, float mark) {
      return ops::concat_channels(context, picture, ops::full(context, picture.shape().with(3, 1), mark));
    };
    const auto first = pictures.slice(0, 1);
    const auto none = network_.embed(context, marked(ops::full(context, first.shape(), 0.0f), 0.0f));
    std::vector<Tensor<float>> film(static_cast<std::size_t>(count), none);
    for (Index n = 0; n < pictures.dim(0); ++n) {
      const Index frame = frames.empty() ? n : frames[static_cast<std::size_t>(n)];
      film.at(static_cast<std::size_t>(frame)) =
          network_.embed(context, marked(pictures.slice(n, n + 1), 1.0f));
    }
    const auto joined = concat_leading<float>(film);
    return {joined.reshape({1, count, joined.dim(1), joined.dim(2), joined.dim(3)})};
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
    inputs.windows = conditioning.windows;
    Features result;
    auto hint = for_each_branch(read.at(0), x.dim(0));
    if (x.rank() == 5) hint = hint.reshape({x.dim(0) * x.dim(1), hint.dim(2), hint.dim(3), hint.dim(4)});
    result.unet =
        network_(context, x, std::span(&call.timestep, 1), inputs, hint, {call.scale, call.guess_mode});
    if (x.rank() != 5) return result;
    // By branches, as the pictures' are.
    const auto films = [&](Tensor<float>& map) {
      map = map.reshape({x.dim(0), x.dim(1), map.dim(1), map.dim(2), map.dim(3)});
    };
    for (auto& map : result.unet.down_residuals) films(map);
    films(result.unet.mid_residual);
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
                   .title = config.sparse ? "SparseCtrl" : "ControlNet",
                   .gives = {.kind = FeatureSizes::Kind::unet,
                             .residuals = shape.skip_channels(),
                             .blocks = {shape.levels.back().channels}},
                   .reads = config.reads_latents ? ControlInfo::Reads::latents : ControlInfo::Reads::pixels,
                   .centred = config.reads_latents,
                   .picture_channels = config.picture.in_channels - (config.sparse ? 1 : 0),
                   .picture_ratio = config.picture.ratio(),
                   .latent_channels = shape.in_channels,
                   .context_width = config.unet.cross_attention_dim(),
                   .context_key = "cross_attention_dim",
                   .takes_guess_mode = true,
                   .guesses_always = config.global_pool_conditions,
                   .films = config.sparse ? ControlInfo::Films::sparse : ControlInfo::Films::frames,
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
