#pragma once

#include <string>

#include "daguerre/models/adapters/flux_control_net.hpp"
#include "daguerre/models/denoisers/flux_transformer-inl.hpp"

namespace daguerre::models {

template <class T>
FluxControlNet<T>::FluxControlNet(const FluxControlNetConfig& config, const nn::Loader& loader)
    : config_(config),
      trunk_(config.transformer, loader),
      control_embedder_(loader.sub("controlnet_x_embedder"), config.transformer.in_channels,
                        config.transformer.dim()) {
  const Index dim = config.transformer.dim();
  if (config.picture) picture_.emplace(loader.sub("input_hint_block"), *config.picture);
  if (config.num_mode > 0)
    modes_ = loader.sub("controlnet_mode_embedder").tensor("weight", {config.num_mode, dim});
  for (int i = 0; i < config.transformer.num_layers; ++i)
    residuals_.emplace_back(loader.sub("controlnet_blocks", i), dim, dim);
  for (int i = 0; i < config.transformer.num_single_layers; ++i)
    single_residuals_.emplace_back(loader.sub("controlnet_single_blocks", i), dim, dim);
}

template <class T>
Tensor<float> FluxControlNet<T>::embed(const ops::Context& context, const Tensor<float>& picture) const {
  if (!picture_)
    throw ArgumentError("flux_controlnet", "this network reads latents of the picture, not its pixels");
  return ops::patchify(context, (*picture_)(context, picture), 2, ops::PatchOrder::channels_rows_columns);
}

template <class T>
TransformerFeatures FluxControlNet<T>::operator()(const ops::Context& context, const FluxInputs& inputs,
                                                  const Tensor<float>& control, std::optional<int> mode,
                                                  float scale) const {
  if (!(control.shape() == inputs.hidden_states.shape()))
    throw ArgumentError("flux_controlnet", "tokens of a picture " + to_string(control.shape()) + " beside " +
                                               to_string(inputs.hidden_states.shape()));
  if (mode ? *mode < 0 || *mode >= config_.num_mode : config_.num_mode > 0)
    throw ArgumentError("flux_controlnet",
                        (mode ? "mode " + std::to_string(*mode) : std::string("no mode is given")) +
                            ", this network has " + std::to_string(config_.num_mode));
  TransformerFeatures kept;
  FluxBeside beside;
  beside.hint = control_embedder_(context, control);
  beside.kept = &kept;
  if (mode) {
    const std::vector<Tensor<float>> for_each(static_cast<std::size_t>(control.dim(0)),
                                              modes_.slice(*mode, *mode + 1));
    beside.mode = concat_leading<float>(for_each).reshape({control.dim(0), 1, modes_.dim(1)});
  }
  trunk_(context, inputs, beside);
  const auto through = [&](const std::vector<nn::Linear<T>>& layers, std::vector<Tensor<float>>& tokens) {
    for (std::size_t i = 0; i < layers.size(); ++i)
      tokens[i] =
          ops::affine(context, layers[i].accumulate(context, ops::cast<T>(context, tokens[i])), scale, 0.0f);
  };
  through(residuals_, kept.residuals);
  through(single_residuals_, kept.single_residuals);
  if (config_.picture) kept.sharing = TransformerFeatures::Sharing::repeated;
  return kept;
}

extern template class FluxControlNet<float>;
extern template class FluxControlNet<bfloat16>;

}  // namespace daguerre::models
