#include "daguerre/models/clip_text.hpp"
#include "daguerre/pipeline/stable_diffusion.hpp"
#include "pipeline/load_component.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// T is what the text encoder and the autoencoder multiply, D what the U-Net does.
template <class T, class D>
class Networks final : public StableDiffusionNetworks {
 public:
  Networks(models::ClipText<T> text_encoder, models::UNet2DCondition<D> unet, models::AutoencoderKl<T> vae)
      : text_encoder_(std::move(text_encoder)), unet_(std::move(unet)), vae_(std::move(vae)) {}

  Tensor<float> encode_text(const ops::Context& context, const Tensor<std::int32_t>& input_ids,
                            int clip_skip) const override {
    const auto output = text_encoder_(context, input_ids);
    if (clip_skip == 0) return output.last_hidden_state;
    const auto count = static_cast<int>(output.hidden_states.size());
    if (clip_skip < 0 || clip_skip >= count)
      throw ArgumentError("pipeline", "clip_skip is " + std::to_string(clip_skip) +
                                          ", the text encoder has " + std::to_string(count - 1) + " layers");
    const auto& state = output.hidden_states[static_cast<std::size_t>(count - 1 - clip_skip)];
    return text_encoder_.final_layer_norm(context, state);
  }

  Tensor<float> denoise(const ops::Context& context, const Tensor<float>& sample, float timestep,
                        const Tensor<float>& encoder_hidden_states) const override {
    return unet_(context, sample, std::span(&timestep, 1), encoder_hidden_states);
  }
  models::LatentDistribution encode_image(const ops::Context& context,
                                          const Tensor<float>& pictures) const override {
    return vae_.encode(context, pictures);
  }
  Tensor<float> decode_latents(const ops::Context& context, const Tensor<float>& latents) const override {
    return vae_.decode(context, latents);
  }
  const models::UNet2DConditionConfig& unet_config() const noexcept override { return unet_.config(); }
  const models::AutoencoderKlConfig& autoencoder_config() const noexcept override { return vae_.config(); }

 private:
  models::ClipText<T> text_encoder_;
  models::UNet2DCondition<D> unet_;
  models::AutoencoderKl<T> vae_;
};

template <class T, class D>
std::shared_ptr<const StableDiffusionNetworks> load_as(const fs::path& folder, const LoadContext& context,
                                                       const LoadContext& denoiser) {
  auto text_encoder =
      load_component<models::ClipText<T>, models::ClipTextConfig>(folder / "text_encoder", context);
  auto vae = load_component<models::AutoencoderKl<T>, models::AutoencoderKlConfig>(folder / "vae", context);
  auto unet =
      load_component<models::UNet2DCondition<D>, models::UNet2DConditionConfig>(folder / "unet", denoiser);
  const Index states = text_encoder.config().hidden_size;
  if (states != unet.config().cross_attention_dim())
    throw ConfigError("pipeline", folder.string() + ": the text encoder gives states of " +
                                      std::to_string(states) + ", the U-Net's cross_attention_dim is " +
                                      std::to_string(unet.config().cross_attention_dim()));
  return std::make_shared<Networks<T, D>>(std::move(text_encoder), std::move(unet), std::move(vae));
}

}  // namespace

std::shared_ptr<const StableDiffusionNetworks> load_stable_diffusion_networks(
    const fs::path& folder, const ops::Context& compute, Precision precision,
    bool allow_trailing_bytes, const LogSink& log) {
  return with_precision(precision, LoadContext{compute, allow_trailing_bytes, log},
                        [&]<class T, class D>(const LoadContext& context, const LoadContext& denoiser) {
                          return load_as<T, D>(folder, context, denoiser);
                        });
}

}  // namespace daguerre
