#include "daguerre/models/adapters/ip_adapter-inl.hpp"

namespace daguerre::models {
namespace {

[[noreturn]] void refuse_ip_adapter(const weights::StateDict& state, const std::string& problem) {
  throw WeightError("ip_adapter", state.source() + ": " + problem);
}

/// The extents of a tensor that has `rank` of them, none of them 0.
Shape shape_of(const weights::StateDict& state, const std::string& name, int rank) {
  const auto shape = state.shape(name);
  if (shape.rank() != rank || shape.size() == 0)
    refuse_ip_adapter(state, "tensor \"" + name + "\" has shape " + to_string(shape) + ", expected " +
                                 std::to_string(rank) + " axes");
  return shape;
}

}  // namespace

IpAdapterConfig IpAdapterConfig::from(const weights::StateDict& state) {
  IpAdapterConfig result;
  if (state.contains_below("image_proj.perceiver_resampler.") || state.contains("ip_adapter.0.to_q_lora.down.weight") ||
      state.contains("ip_adapter.1.to_k_lora.down.weight"))
    refuse_ip_adapter(state, "this is a FaceID adapter, which reads a face recognition network's embedding and "
                             "not CLIP's; it is not supported");
  if (state.contains("image_proj.latents")) {
    result.kind = Kind::resampler;
    const auto latents = shape_of(state, "image_proj.latents", 3);
    result.tokens = latents[1];
    result.inner = latents[2];
    result.input_width = shape_of(state, "image_proj.proj_in.weight", 2)[1];
    result.width = shape_of(state, "image_proj.norm_out.weight", 1)[0];
    while (state.contains("image_proj.layers." + std::to_string(result.layers) + ".0.to_q.weight"))
      ++result.layers;
    if (result.layers == 0) refuse_ip_adapter(state, "its resampler has no layers");
    const Index rows = shape_of(state, "image_proj.layers.0.0.to_q.weight", 2)[0];
    if (rows % 64 != 0)
      refuse_ip_adapter(state, "its resampler's queries have " + std::to_string(rows) +
                                   " numbers, which are no heads of 64");
    result.heads = static_cast<int>(rows / 64);
  } else if (state.contains("image_proj.proj.0.weight") && state.contains("image_proj.proj.3.weight")) {
    result.kind = Kind::perceptron;
    const auto first = shape_of(state, "image_proj.proj.0.weight", 2);
    result.inner = first[0];
    result.input_width = first[1];
    result.width = shape_of(state, "image_proj.proj.3.weight", 1)[0];
  } else if (state.contains("image_proj.proj.weight")) {
    const auto first = shape_of(state, "image_proj.proj.weight", 2);
    result.input_width = first[1];
    result.width = shape_of(state, "image_proj.norm.weight", 1)[0];
    result.tokens = first[0] / result.width;
    if (result.tokens == 0 || first[0] % result.width != 0)
      refuse_ip_adapter(state, "image_proj.proj.weight " + to_string(first) + " gives no tokens of " +
                                   std::to_string(result.width));
  } else {
    refuse_ip_adapter(state, "no IP-Adapter: it has none of image_proj.proj.weight, image_proj.proj.0.weight and "
                             "image_proj.latents");
  }
  for (int key = 1;; key += 2) {
    const auto name = "ip_adapter." + std::to_string(key) + ".to_k_ip.weight";
    if (!state.contains(name)) break;
    result.attention_widths.push_back(shape_of(state, name, 2)[0]);
  }
  if (result.attention_widths.empty())
    refuse_ip_adapter(state, "no IP-Adapter: it has no ip_adapter.1.to_k_ip.weight");
  return result;
}

template class IpAdapter<float>;
template class IpAdapter<bfloat16>;

}  // namespace daguerre::models
