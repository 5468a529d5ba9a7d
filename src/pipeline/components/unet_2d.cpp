#include "daguerre/models/denoisers/unet_2d.hpp"

#include <span>

#include "pipeline/components/components.hpp"
#include "pipeline/name.hpp"

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
    return network_(context, x, std::span(&timestep, 1), std::span(conditioning.labels));
  }

 private:
  DenoiserInfo info_;
  models::UNet2D<T> network_;
};

}  // namespace

Opened<Denoiser> open_unet_2d(const ComponentSource& source, const LoadContext&) {
  const auto config = models::UNet2DConfig::from(source.config());
  const Index in = config.shape.in_channels, out = config.shape.out_channels;
  if ((in != 1 && in != 3 && in != 4) || (out != in && out != 2 * in))
    throw ConfigError(pipeline_name, source.config_path() + ": the U-Net takes " + std::to_string(in) +
                                         " channels and gives " + std::to_string(out) +
                                         "; pictures have 1, 3 or 4, and twice as many may come "
                                         "out where the model predicts a variance");
  const DenoiserInfo info{.in_channels = in,
                          .out_channels = out,
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
