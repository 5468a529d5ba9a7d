#include "pipeline/components/flux_tokens.hpp"

namespace daguerre {

Tensor<float> picture_ids(const Tensor<float>& latents, Index axes, float picture) {
  const Index height = latents.dim(1) / flux_patch, width = latents.dim(2) / flux_patch;
  auto ids = Tensor<float>::zeros({height * width, axes});
  for (Index i = 0; i < height * width; ++i) {
    float* const id = ids.data() + i * axes;
    id[0] = picture;
    id[axes - 2] = static_cast<float>(i / width);
    id[axes - 1] = static_cast<float>(i % width);
  }
  return ids;
}

models::FluxInputs flux_inputs(const ops::Context& context, const Tensor<float>& sample, const float& time,
                               const Conditioning& conditioning, Index axes) {
  models::FluxInputs inputs{.hidden_states = ops::patchify(context, sample, flux_patch, flux_order),
                            .encoder_hidden_states = conditioning.context,
                            .pooled = conditioning.pooled,
                            .timesteps = std::span(&time, 1),
                            .guidance = {},
                            .img_ids = picture_ids(sample, axes, 0.0f),
                            .txt_ids = {}};
  if (conditioning.context.rank() == 3)
    inputs.txt_ids = Tensor<float>::zeros({conditioning.context.dim(1), axes});
  if (const auto found = conditioning.extras.find(flux_guidance); found != conditioning.extras.end())
    inputs.guidance = found->second.span();
  return inputs;
}

}  // namespace daguerre
