#include "daguerre/pipeline/component_registry.hpp"

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// What the opener for `source`'s class makes of the arguments; errors, also of loading, are about its
/// configuration where they do not say another file.
template <class Open, class... Arguments>
auto opened(const std::map<std::string, Open, std::less<>>& openers, const ComponentSource& source,
            const Arguments&... arguments) {
  const auto found = openers.find(source.class_name);
  if (found != openers.end()) {
    const auto file = source.config_file();
    auto result = naming(file, [&] { return found->second(source, arguments...); });
    result.load = [file, load = std::move(result.load)](const LoadContext& context) {
      return naming(file, [&] { return load(context); });
    };
    return result;
  }
  std::string known;
  for (const auto& [name, open] : openers) known.append(known.empty() ? "" : ", ").append(name);
  throw ConfigError(pipeline_name,
                    source.config_path() + ": class " + in_quotes(source.class_name) + " of " +
                        in_quotes(source.name) + " is not supported; supported are: " + known,
                    source.config_file());
}

}  // namespace

void check_tokenizer_class(const ComponentSource& tokenizer, std::string_view name) {
  std::string known;
  for (const auto& each : {std::string(name), std::string(name) + "Fast",
                           std::string("PreTrainedTokenizerFast"), std::string("TokenizersBackend")}) {
    if (tokenizer.class_name == each) return;
    known += (known.empty() ? "" : ", ") + each;
  }
  throw ConfigError(pipeline_name, tokenizer.folder.string() + ": class " + in_quotes(tokenizer.class_name) +
                                       " of " + in_quotes(tokenizer.name) +
                                       " is not supported; supported are: " + known);
}

ComponentRegistry ComponentRegistry::standard() {
  ComponentRegistry registry;
  registry.add_text_encoder("CLIPTextModel", open_clip_text_encoder);
  registry.add_text_encoder("CLIPTextModelWithProjection", open_clip_text_encoder);
  registry.add_text_encoder("T5EncoderModel", open_t5_text_encoder);
  registry.add_text_encoder("UMT5EncoderModel", open_t5_text_encoder);
  registry.add_denoiser("UNet2DConditionModel", open_unet_2d_condition);
  registry.add_denoiser("UNetMotionModel", open_unet_2d_condition);
  registry.add_denoiser("UNet2DModel", open_unet_2d);
  registry.add_denoiser("UNetSpatioTemporalConditionModel", open_unet_spatio_temporal);
  registry.add_denoiser("UNet3DConditionModel", open_unet_3d_condition);
  registry.add_denoiser("I2VGenXLUNet", open_i2vgen_xl_unet);
  registry.add_denoiser("DiTTransformer2DModel", open_dit);
  registry.add_denoiser("SD3Transformer2DModel", open_sd3_transformer);
  registry.add_denoiser("FluxTransformer2DModel", open_flux_transformer);
  registry.add_denoiser("PixArtTransformer2DModel", open_pixart_transformer);
  for (const char* name : {"WanTransformer3DModel", "WanVACETransformer3DModel"})
    registry.add_denoiser(name, open_wan_transformer);
  registry.add_denoiser("Transformer2DModel", open_old_transformer);
  registry.add_denoiser("HunyuanVideoTransformer3DModel", open_hunyuan_video_transformer);
  registry.add_denoiser("MochiTransformer3DModel", open_mochi_transformer);
  registry.add_denoiser("LatteTransformer3DModel", open_latte_transformer);
  registry.add_denoiser("CogVideoXTransformer3DModel", open_cogvideox_transformer);
  registry.add_autoencoder("AutoencoderKL", open_autoencoder_kl);
  registry.add_autoencoder("AutoencoderKLHunyuanVideo", open_autoencoder_kl_hunyuan_video);
  registry.add_autoencoder("AutoencoderKLMochi", open_autoencoder_kl_mochi);
  registry.add_autoencoder("AutoencoderKLWan", open_autoencoder_kl_wan);
  registry.add_autoencoder("AutoencoderTiny", open_autoencoder_tiny);
  registry.add_autoencoder("AutoencoderKLTemporalDecoder", open_autoencoder_kl_temporal);
  registry.add_autoencoder("AutoencoderKLCogVideoX", open_autoencoder_kl_cogvideox);
  registry.add_denoiser("LTXVideoTransformer3DModel", open_ltx_transformer);
  registry.add_autoencoder("AutoencoderKLLTXVideo", open_autoencoder_kl_ltx);
  registry.add_image_encoder("CLIPVisionModel", open_clip_image_encoder);
  registry.add_image_encoder("CLIPVisionModelWithProjection", open_clip_image_encoder);
  return registry;
}

void ComponentRegistry::add_text_encoder(std::string class_name, OpenTextEncoder open) {
  text_encoders_.insert_or_assign(std::move(class_name), std::move(open));
}
void ComponentRegistry::add_denoiser(std::string class_name, OpenDenoiser open) {
  denoisers_.insert_or_assign(std::move(class_name), std::move(open));
}
void ComponentRegistry::add_autoencoder(std::string class_name, OpenAutoencoder open) {
  autoencoders_.insert_or_assign(std::move(class_name), std::move(open));
}

void ComponentRegistry::add_image_encoder(std::string class_name, OpenImageEncoder open) {
  image_encoders_.insert_or_assign(std::move(class_name), std::move(open));
}

std::vector<std::string> ComponentRegistry::text_encoder_classes() const {
  std::vector<std::string> names;
  for (const auto& [name, open] : text_encoders_) names.push_back(name);
  return names;
}

Opened<TextEncoder> ComponentRegistry::open_text_encoder(const ComponentSource& network,
                                                         const ComponentSource& tokenizer,
                                                         const LoadContext& context) const {
  return opened(text_encoders_, network, tokenizer, context);
}
Opened<Denoiser> ComponentRegistry::open_denoiser(const ComponentSource& source,
                                                  const LoadContext& context) const {
  return opened(denoisers_, source, context);
}
Opened<Autoencoder> ComponentRegistry::open_autoencoder(const ComponentSource& source,
                                                        const LoadContext& context) const {
  return opened(autoencoders_, source, context);
}
Opened<ImageEncoder> ComponentRegistry::open_image_encoder(const ComponentSource& network,
                                                           const ComponentSource& processor,
                                                           const LoadContext& context) const {
  return opened(image_encoders_, network, processor, context);
}

}  // namespace daguerre
