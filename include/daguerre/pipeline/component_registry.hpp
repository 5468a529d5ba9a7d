#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/load_component.hpp"

namespace daguerre {

/// The component classes that model folders may name, by `_class_name`. A value: a host adds its own to a
/// copy of the standard one.
class ComponentRegistry {
 public:
  using OpenTextEncoder = std::function<Opened<TextEncoder>(
      const ComponentSource& network, const ComponentSource& tokenizer, const LoadContext& context)>;
  using OpenDenoiser =
      std::function<Opened<Denoiser>(const ComponentSource& source, const LoadContext& context)>;
  using OpenAutoencoder =
      std::function<Opened<Autoencoder>(const ComponentSource& source, const LoadContext& context)>;

  using OpenImageEncoder = std::function<Opened<ImageEncoder>(
      const ComponentSource& network, const ComponentSource& processor, const LoadContext& context)>;

  /// The library's own: CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel, UMT5EncoderModel;
  /// UNet2DConditionModel, UNet2DModel, DiTTransformer2DModel, SD3Transformer2DModel,
  /// FluxTransformer2DModel, PixArtTransformer2DModel (and Transformer2DModel, which DiT's and PixArt's were
  /// called), CogVideoXTransformer3DModel, WanTransformer3DModel, WanVACETransformer3DModel; AutoencoderKL,
  /// AutoencoderTiny, AutoencoderKLCogVideoX;
  /// CLIPVisionModel, CLIPVisionModelWithProjection.
  static ComponentRegistry standard();

  // Each replaces one of the same name.
  void add_text_encoder(std::string class_name, OpenTextEncoder open);
  void add_denoiser(std::string class_name, OpenDenoiser open);
  void add_autoencoder(std::string class_name, OpenAutoencoder open);
  void add_image_encoder(std::string class_name, OpenImageEncoder open);

  /// The names of those that are there.
  std::vector<std::string> text_encoder_classes() const;

  // Each throws ConfigError for a class that is not there, naming those that are; what opening throws.
  Opened<TextEncoder> open_text_encoder(const ComponentSource& network, const ComponentSource& tokenizer,
                                        const LoadContext& context) const;
  Opened<Denoiser> open_denoiser(const ComponentSource& source, const LoadContext& context) const;
  Opened<Autoencoder> open_autoencoder(const ComponentSource& source, const LoadContext& context) const;
  Opened<ImageEncoder> open_image_encoder(const ComponentSource& network, const ComponentSource& processor,
                                          const LoadContext& context) const;

 private:
  std::map<std::string, OpenTextEncoder, std::less<>> text_encoders_;
  std::map<std::string, OpenDenoiser, std::less<>> denoisers_;
  std::map<std::string, OpenAutoencoder, std::less<>> autoencoders_;
  std::map<std::string, OpenImageEncoder, std::less<>> image_encoders_;
};

}  // namespace daguerre
