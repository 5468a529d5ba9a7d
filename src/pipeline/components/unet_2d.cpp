#include "daguerre/models/denoisers/unet_2d.hpp"

#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class PixelDenoiser final : public Denoiser {
 public:
  PixelDenoiser(DenoiserInfo info, models::UNet2D<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const auto sample =
        conditioning.concat.empty() ? x : ops::concat_channels(context, x, conditioning.concat);
    return network_(context, sample, std::span(&timestep, 1), std::span(conditioning.labels));
  }

 private:
  DenoiserInfo info_;
  models::UNet2D<T> network_;
};

}  // namespace

Opened<Denoiser> open_unet_2d(const ComponentSource& source, const LoadContext&) {
  const auto config = models::UNet2DConfig::from(source.config());
  const DenoiserInfo info{.in_channels = config.shape.in_channels,
                          .out_channels = config.shape.out_channels,
                          .sample_height = config.sample_height,
                          .sample_width = config.sample_width,
                          .side_multiple = Index{1} << (config.shape.levels.size() - 1),
                          .classes = config.num_class_embeds(),
                          .config = source.config_path(),
                          .wraps = true};
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const PixelDenoiser<T>>(
                                        info, load_component<models::UNet2D<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
