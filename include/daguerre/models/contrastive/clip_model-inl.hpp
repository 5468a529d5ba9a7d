#pragma once

#include <cmath>

#include "daguerre/models/contrastive/clip_model.hpp"
#include "daguerre/models/text_encoders/clip_text-inl.hpp"
#include "daguerre/models/vision_encoders/clip_vision-inl.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models {

template <class T>
ClipModel<T>::ClipModel(const ClipModelConfig& config, const nn::Loader& root)
    : config_(config),
      text_(config.text, root),
      vision_(config.vision, root),
      logit_scale_(std::exp(ops::host_values(root.tensor("logit_scale", {})).front())) {}

template <class T>
Tensor<float> ClipModel<T>::embed_texts(const ops::Context& context,
                                        const Tensor<std::int32_t>& input_ids) const {
  return text_(context, input_ids).text_embeds;
}

template <class T>
Tensor<float> ClipModel<T>::embed_pictures(const ops::Context& context,
                                           const Tensor<float>& pixel_values) const {
  return vision_(context, pixel_values).image_embeds;
}

extern template class ClipModel<float>;
extern template class ClipModel<bfloat16>;

}  // namespace daguerre::models
