#include "daguerre/media/clip_image_processor.hpp"
#include "daguerre/models/vision_encoders/clip_vision.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "pipeline/clip_image_processor.hpp"
#include "pipeline/components/components.hpp"

namespace daguerre {
namespace {

template <class T>
class ClipImageEncoder final : public ImageEncoder {
 public:
  ClipImageEncoder(ImageEncoderInfo info, ClipImageProcessor processor, models::ClipVision<T> network)
      : info_(std::move(info)), processor_(processor), network_(std::move(network)) {}
  const ImageEncoderInfo& info() const noexcept override { return info_; }
  Output encode(const ops::Context& context, const Image& picture) const override {
    return run(context, processor_(picture));
  }
  Output encode_values(const ops::Context& context, const Tensor<float>& values) const override {
    return run(context, processor_.normalised(values));
  }
  Output encode_nothing(const ops::Context& context) const override {
    const auto& config = network_.config();
    return run(context, Tensor<float>::zeros({1, config.image_size, config.image_size, config.num_channels}));
  }

 private:
  Output run(const ops::Context& context, const Tensor<float>& values) const {
    const auto output = network_(context, values);
    ops::check_finite(output.image_embeds, "image_encoder");
    return {output.image_embeds, output.penultimate()};
  }

  ImageEncoderInfo info_;
  ClipImageProcessor processor_;
  models::ClipVision<T> network_;
};

/// How that encoder's pictures are prepared.
ClipImageProcessor processor_for(const models::ClipVisionConfig& config, const ComponentSource& processor,
                                 const std::string& config_path) {
  ClipImageProcessor result;
  result.shortest_edge = result.crop_height = result.crop_width = config.image_size;
  if (processor.given_config)
    result = read_clip_image_processor(*processor.given_config);
  else if (!processor.folder.empty())
    result = read_clip_image_processor(Config::load(processor.folder / "preprocessor_config.json"));
  check_prepared_size(result, config.image_size, config_path);
  return result;
}

}  // namespace

Opened<ImageEncoder> open_clip_image_encoder(const ComponentSource& network, const ComponentSource& processor,
                                             const LoadContext&) {
  const auto config = models::ClipVisionConfig::from(network.config());
  const auto prepared = processor_for(config, processor, network.config_path());
  const ImageEncoderInfo info{.width = config.hidden_size,
                              .embed_width = config.projection_dim,
                              .config = network.config_path(),
                              .image_size = config.image_size,
                              .crop_height = prepared.crop_height,
                              .crop_width = prepared.crop_width};
  return {info, [=](const LoadContext& context) {
            return with_precision(
                context, Role::other,
                [&]<class T>(const LoadContext& own) -> std::shared_ptr<const ImageEncoder> {
                  return std::make_shared<const ClipImageEncoder<T>>(
                      info, prepared, load_component<models::ClipVision<T>>(network, config, own));
                });
          }};
}

}  // namespace daguerre
