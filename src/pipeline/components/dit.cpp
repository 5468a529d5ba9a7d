#include "daguerre/models/denoisers/dit.hpp"

#include <span>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class DiTDenoiser final : public Denoiser {
 public:
  DiTDenoiser(DenoiserInfo info, models::DiT<T> network)
      : info_(std::move(info)), network_(std::move(network)) {}
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    // The samplers of these models know no learned variance.
    return ops::narrow(context, network_(context, x, std::span(&timestep, 1), conditioning.labels), -1, 0,
                       network_.config().in_channels);
  }

 private:
  DenoiserInfo info_;
  models::DiT<T> network_;
};

/// The arguments of the original's constructor bear no class name, and are told apart by that.
models::DiTConfig config_of(const ComponentSource& source) {
  if (!source.given_config) {
    const auto own = Config::load(source.folder / "config.json");
    if (models::DiTConfig::is_original(own)) return models::DiTConfig::from(own);
  }
  return models::DiTConfig::from(source.config());
}

}  // namespace

Opened<Denoiser> open_dit(const ComponentSource& source, const LoadContext&) {
  const auto config = config_of(source);
  DenoiserInfo info{.in_channels = config.in_channels,
                    .out_channels = config.out_channels == 2 * config.in_channels ? config.in_channels
                                                                                  : config.out_channels,
                    .sample_height = config.sample_size,
                    .sample_width = config.sample_size,
                    .side_multiple = config.patch_size,
                    .classes = config.num_classes,
                    .guided_channels = config.guided_channels,
                    .config = source.config_path()};
  if (config.has_null_class) info.null_class = config.null_class();
  return {info, [=](const LoadContext& context) {
            return with_precision(context, Role::denoiser,
                                  [&]<class T>(const LoadContext& own) -> std::shared_ptr<const Denoiser> {
                                    return std::make_shared<const DiTDenoiser<T>>(
                                        info, load_component<models::DiT<T>>(source, config, own));
                                  });
          }};
}

}  // namespace daguerre
