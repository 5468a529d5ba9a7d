#include "daguerre/models/adapters/t2i_adapter.hpp"

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/controls/controls.hpp"

namespace daguerre {
namespace {

template <class T>
class AdapterControl final : public Control {
 public:
  AdapterControl(ControlInfo info, models::T2IAdapter<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const ControlInfo& info() const noexcept override { return info_; }

  std::vector<Tensor<float>> read(const ops::Context& context, const Tensor<float>& picture) const override {
    return network_(context, picture);
  }
  Features operator()(const ops::Context& context, const std::vector<Tensor<float>>& read,
                      const Tensor<float>& x, const Conditioning&, const ControlCall& call) const override {
    Features result;
    for (const auto& feature : read)
      result.unet.down_features.push_back(
          for_each_branch(ops::affine(context, feature, call.scale, 0.0f), x.dim(0)));
    return result;
  }

 private:
  ControlInfo info_;
  models::T2IAdapter<T> network_;
};

}  // namespace

Opened<Control> open_t2i_adapter(const ComponentSource& source, const LoadContext&) {
  const auto config = models::T2IAdapterConfig::from(source.config());
  const bool xl = config.kind == models::T2IAdapterConfig::Kind::full_xl;
  const Index factor = config.downscale_factor;
  ControlInfo info{.name = source.name,
                   .title = "T2I-Adapter",
                   .gives = {.kind = FeatureSizes::Kind::unet, .blocks = config.feature_channels()},
                   .picture_channels = config.in_channels,
                   // The first map of the large ones has half the latents' sides.
                   .picture_ratio = xl && factor % 2 == 0 ? factor / 2 : factor,
                   .picture_multiple = factor,
                   .config = source.config_path()};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::other,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Control> {
                                    return std::make_shared<const AdapterControl<T>>(
                                        info, load_component<models::T2IAdapter<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
