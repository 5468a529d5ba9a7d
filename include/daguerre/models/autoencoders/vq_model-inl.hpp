#pragma once

#include <string>

#include "daguerre/models/autoencoders/autoencoder_parts-inl.hpp"
#include "daguerre/models/autoencoders/vq_model.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/reduce.hpp"

namespace daguerre::models {
namespace detail {

inline void check_vq_input(const Tensor<float>& x, Index channels, const char* what) {
  if (x.rank() != 4 || x.dim(3) != channels || x.empty())
    throw ArgumentError("vq_model", std::string(what) + " " + to_string(x.shape()) + ", expected [N, H, W, " +
                                        std::to_string(channels) + "]");
}

}  // namespace detail

template <class T>
VqModel<T>::VqModel(const VqModelConfig& config, const nn::Loader& loader)
    : config_(config),
      encoder_(loader.sub("encoder"), config, config.latent_channels),
      decoder_(loader.sub("decoder"), config),
      quant_conv_(loader.sub("quant_conv"), config.latent_channels, config.vq_embed_dim,
                  {.stored_as_conv = true}),
      post_quant_conv_(loader.sub("post_quant_conv"), config.vq_embed_dim, config.latent_channels,
                       {.stored_as_conv = true}),
      codebook_(loader.sub("quantize")
                    .sub("embedding")
                    .tensor("weight", {config.num_vq_embeddings, config.vq_embed_dim})) {}

template <class T>
Tensor<float> VqModel<T>::encode(const ops::Context& context, const Tensor<float>& pictures) const {
  detail::check_vq_input(pictures, config_.in_channels, "pictures");
  return quant_conv_.accumulate(context, ops::cast<T>(context, encoder_(context, pictures)));
}

template <class T>
Tensor<std::int32_t> VqModel<T>::codes(const ops::Context& context, const Tensor<float>& latents) const {
  detail::check_vq_input(latents, config_.vq_embed_dim, "latents");
  return ops::nearest_rows(context, codebook_, latents);
}

template <class T>
Tensor<float> VqModel<T>::vectors(const ops::Context& context, const Tensor<std::int32_t>& codes) const {
  if (codes.rank() != 3)
    throw ArgumentError("vq_model", "codes " + to_string(codes.shape()) + ", expected [N, h, w]");
  return ops::embedding_lookup(context, codebook_, ops::host_values(codes))
      .reshape({codes.dim(0), codes.dim(1), codes.dim(2), config_.vq_embed_dim});
}

template <class T>
Tensor<float> VqModel<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                 bool quantize) const {
  detail::check_vq_input(latents, config_.vq_embed_dim, "latents");
  const auto from = quantize ? vectors(context, codes(context, latents)) : latents;
  return decoder_(context, post_quant_conv_.accumulate(context, ops::cast<T>(context, from)));
}

extern template class VqModel<float>;
extern template class VqModel<bfloat16>;

}  // namespace daguerre::models
