#include <charconv>
#include <string_view>

#include <nlohmann/json.hpp>

#include "daguerre/models/clip_text.hpp"
#include "daguerre/pipeline/stable_diffusion.hpp"
#include "pipeline/load_component.hpp"
#include "pipeline/model_folder.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// T is what the text encoder and the autoencoder multiply, D what the U-Net does.
template <class T, class D>
class Networks final : public StableDiffusionNetworks {
 public:
  Networks(models::ClipText<T> text_encoder, models::UNet2DCondition<D> unet, models::AutoencoderKl<T> vae)
      : text_encoder_(std::move(text_encoder)), unet_(std::move(unet)), vae_(std::move(vae)) {}

  Tensor<float> encode_text(const ops::Context& context, const Tensor<std::int32_t>& input_ids, int clip_skip,
                            const Tensor<float>* mask) const override {
    const auto output = text_encoder_(context, input_ids, mask);
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
  const models::ClipTextConfig& text_config() const noexcept override { return text_encoder_.config(); }
  const models::UNet2DConditionConfig& unet_config() const noexcept override { return unet_.config(); }
  const models::AutoencoderKlConfig& autoencoder_config() const noexcept override { return vae_.config(); }

 private:
  models::ClipText<T> text_encoder_;
  models::UNet2DCondition<D> unet_;
  models::AutoencoderKl<T> vae_;
};

/// "0.8.1.dev0" is below 0.9. What is no version is not.
bool is_below_0_9(std::string_view version) {
  int major = -1, minor = -1;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return false;
  if (std::from_chars(first.ptr + 1, end, minor).ec != std::errc()) return false;
  return major == 0 && minor >= 0 && minor < 9;
}

/// The configuration of a U-Net, with what diffusers' pipelines correct in it: before version 0.9 it was
/// written with a sample_size that the models were not trained at.
weights::Config unet_config(const ModelPart& part) {
  auto config = part.config();
  const auto version = config.optional_string("_diffusers_version");
  if (!version || !is_below_0_9(*version)) return config;
  const auto size = nlohmann::json::parse(config.dump()).value("sample_size", nlohmann::json());
  if (!size.is_number_integer() || size.get<double>() >= 64) return config;
  return config.with(R"({"sample_size": 64})");
}

/// The configurations of the three networks, which fit each other.
struct StableDiffusionConfigs {
  ModelPart text_part, unet_part, vae_part;
  models::ClipTextConfig text;
  models::UNet2DConditionConfig unet;
  models::AutoencoderKlConfig vae;

  explicit StableDiffusionConfigs(const ModelFolder& model)
      : text_part(model.part("text_encoder", {"CLIPTextModel", "CLIPTextModelWithProjection"})),
        unet_part(model.part("unet", {"UNet2DConditionModel"})),
        vae_part(model.part("vae", {"AutoencoderKL"})),
        text(models::ClipTextConfig::from(text_part.config())),
        unet(models::UNet2DConditionConfig::from(unet_config(unet_part))),
        vae(models::AutoencoderKlConfig::from(vae_part.config())) {
    check_width();
    check_channels();
  }

 private:
  void check_width() const {
    if (text.hidden_size == unet.cross_attention_dim()) return;
    throw ConfigError("pipeline", "the parts do not fit each other: hidden_size in " +
                                      text_part.config_path() + " is " + std::to_string(text.hidden_size) +
                                      ", cross_attention_dim in " + unet_part.config_path() + " is " +
                                      std::to_string(unet.cross_attention_dim()));
  }
  void check_channels() const {
    const Index latent = vae.latent_channels, with_picture = 2 * latent + 1;
    const auto fail = [&](const std::string& key, Index found, const std::string& expected) {
      return ConfigError("pipeline", "the parts do not fit each other: " + key + " in " +
                                         unet_part.config_path() + " is " + std::to_string(found) +
                                         ", latent_channels in " + vae_part.config_path() + " is " +
                                         std::to_string(latent) + "; expected " + expected);
    };
    if (unet.shape.in_channels != latent && unet.shape.in_channels != with_picture)
      throw fail("in_channels", unet.shape.in_channels,
                 std::to_string(latent) + ", or " + std::to_string(with_picture) + " with mask and picture");
    if (unet.shape.out_channels != latent && unet.shape.out_channels != 2 * latent)
      throw fail("out_channels", unet.shape.out_channels,
                 std::to_string(latent) + ", or " + std::to_string(2 * latent) + " with a variance");
  }
};

template <class T, class D>
std::shared_ptr<const StableDiffusionNetworks> load_stable_diffusion(const StableDiffusionConfigs& configs,
                                                                     const LoadContext& context,
                                                                     const LoadContext& denoiser) {
  auto text_encoder = load_component<models::ClipText<T>>(configs.text_part, configs.text, context);
  auto vae = load_component<models::AutoencoderKl<T>>(configs.vae_part, configs.vae, context);
  auto unet = load_component<models::UNet2DCondition<D>>(configs.unet_part, configs.unet, denoiser);
  return std::make_shared<Networks<T, D>>(std::move(text_encoder), std::move(unet), std::move(vae));
}

}  // namespace

std::shared_ptr<const StableDiffusionNetworks> load_stable_diffusion_networks(const fs::path& folder,
                                                                              const ops::Context& compute,
                                                                              Precision precision,
                                                                              bool allow_trailing_bytes,
                                                                              const LogSink& log) {
  const StableDiffusionConfigs configs(ModelFolder::open(folder));
  return with_precision(precision, LoadContext{compute, allow_trailing_bytes, log},
                        [&]<class T, class D>(const LoadContext& context, const LoadContext& denoiser) {
                          return load_stable_diffusion<T, D>(configs, context, denoiser);
                        });
}

}  // namespace daguerre
