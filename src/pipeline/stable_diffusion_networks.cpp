#include "daguerre/models/clip_text.hpp"
#include "daguerre/pipeline/stable_diffusion.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

template <class T>
class Networks final : public StableDiffusionNetworks {
 public:
  Networks(models::ClipText<T> text_encoder, models::UNet2DCondition<T> unet, models::AutoencoderKl<T> vae)
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
  models::UNet2DCondition<T> unet_;
  models::AutoencoderKl<T> vae_;
};

/// A network from its folder: config.json and weights beside it.
template <class Model, class Config>
Model load_component(const fs::path& folder, const std::shared_ptr<const ops::Engine>& engine,
                     bool allow_trailing_bytes, const std::function<void(const std::string&)>& warn) {
  const auto config = Config::from(weights::Config::load(folder / "config.json"));
  const auto state = weights::StateDict::load(folder, {.allow_trailing_bytes = allow_trailing_bytes});
  Model model(config, nn::Loader{weights::Scope(state), engine});

  std::string names;
  int count = 0;
  for (const auto& name : state.unused()) {
    if (name.ends_with("position_ids")) continue;  // constant indices that older files carry along
    if (++count <= 3) names += (names.empty() ? "" : ", ") + name;
  }
  if (count > 0 && warn)
    warn("[weights] " + state.source() + ": " + std::to_string(count) +
         " tensors are not part of the model: " + names + (count > 3 ? ", …" : ""));
  return model;
}

template <class T>
std::shared_ptr<const StableDiffusionNetworks> load_as(const fs::path& folder,
                                                       const std::shared_ptr<const ops::Engine>& engine,
                                                       bool allow_trailing_bytes,
                                                       const std::function<void(const std::string&)>& warn) {
  auto text_encoder = load_component<models::ClipText<T>, models::ClipTextConfig>(
      folder / "text_encoder", engine, allow_trailing_bytes, warn);
  auto vae = load_component<models::AutoencoderKl<T>, models::AutoencoderKlConfig>(
      folder / "vae", engine, allow_trailing_bytes, warn);
  auto unet = load_component<models::UNet2DCondition<T>, models::UNet2DConditionConfig>(
      folder / "unet", engine, allow_trailing_bytes, warn);
  const Index states = text_encoder.config().hidden_size;
  if (states != unet.config().cross_attention_dim())
    throw ConfigError("pipeline", folder.string() + ": the text encoder gives states of " +
                                      std::to_string(states) + ", the U-Net's cross_attention_dim is " +
                                      std::to_string(unet.config().cross_attention_dim()));
  return std::make_shared<Networks<T>>(std::move(text_encoder), std::move(unet), std::move(vae));
}

}  // namespace

std::shared_ptr<const StableDiffusionNetworks> load_stable_diffusion_networks(
    const fs::path& folder, const std::shared_ptr<const ops::Engine>& engine, bool bfloat16_weights,
    bool allow_trailing_bytes, const std::function<void(const std::string&)>& warn) {
  return bfloat16_weights ? load_as<bfloat16>(folder, engine, allow_trailing_bytes, warn)
                          : load_as<float>(folder, engine, allow_trailing_bytes, warn);
}

}  // namespace daguerre
