#include "support/build_checkpoint.hpp"

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/denoisers/flux_transformer.hpp"
#include "daguerre/models/denoisers/pixart_transformer.hpp"
#include "daguerre/models/denoisers/sd3_transformer.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "support/catch.hpp"

namespace daguerre::test {

void build_all(const weights::Checkpoint& checkpoint) {
  ops::Context context;
  context.engine = ops::make_engine("native");
  for (const auto& part : checkpoint.parts) {
    INFO(checkpoint.family << " " << part.name);
    const nn::Loader loader{weights::Scope(part.weights), context};
    const auto& name = part.class_name;
    if (name == "UNet2DConditionModel")
      models::UNet2DCondition<float>(models::UNet2DConditionConfig::from(part.config), loader);
    else if (name == "SD3Transformer2DModel")
      models::SD3Transformer<float>(models::SD3TransformerConfig::from(part.config), loader);
    else if (name == "FluxTransformer2DModel")
      models::FluxTransformer<float>(models::FluxTransformerConfig::from(part.config), loader);
    else if (name == "PixArtTransformer2DModel")
      models::PixArtTransformer<float>(models::PixArtTransformerConfig::from(part.config), loader);
    else if (name == "AutoencoderKL")
      models::AutoencoderKl<float>(models::AutoencoderKlConfig::from(part.config), loader);
    else if (name == "T5EncoderModel")
      models::T5Encoder<float>(models::T5EncoderConfig::from(part.config), loader);
    else
      models::ClipText<float>(models::ClipTextConfig::from(part.config), loader);
    CHECK(part.weights.unused().empty());
  }
}

}  // namespace daguerre::test
