#include "daguerre/nn/attention-inl.hpp"

namespace daguerre::nn {

QueryKeyNorm query_key_norm_called(std::string_view name, bool elementwise_affine, float epsilon) {
  using Kind = ops::HeadNorm::Kind;
  if (name == "layer_norm") return {Kind::layer_norm, elementwise_affine, epsilon};
  if (name == "fp32_layer_norm") return {Kind::layer_norm, false, epsilon};
  if (name == "rms_norm") return {Kind::rms_norm, elementwise_affine, epsilon};
  if (name == "layer_norm_across_heads") return {Kind::layer_norm, elementwise_affine, epsilon, true};
  if (name == "rms_norm_across_heads") return {Kind::rms_norm, elementwise_affine, epsilon, true};
  if (name == "l2") return {Kind::l2, false, epsilon};
  throw ConfigError("attention",
                    "qk_norm \"" + std::string(name) +
                        "\" is not supported; there are layer_norm, fp32_layer_norm, rms_norm, l2, "
                        "layer_norm_across_heads, rms_norm_across_heads");
}

template class Attention<float>;
template class Attention<bfloat16>;
template class SpatialAttention<float>;
template class SpatialAttention<bfloat16>;

}  // namespace daguerre::nn
