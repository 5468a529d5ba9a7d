#include "daguerre/models/upscalers/srvgg-inl.hpp"

namespace daguerre::models {
namespace {

constexpr int most_srvgg_convs = 1000;

[[noreturn]] void refuse_srvgg(const weights::StateDict& weights, const std::string& what) {
  throw WeightError("srvgg", weights.source() + ": " + what, weights.path());
}

}  // namespace

bool is_srvgg(const weights::StateDict& weights) {
  const auto has_rank = [&](const char* name, int rank) {
    const auto* info = weights.find(name);
    return info != nullptr && info->shape.rank() == rank;
  };
  return has_rank("body.0.weight", 4) && has_rank("body.1.weight", 1) && has_rank("body.2.weight", 4);
}

SrvggConfig SrvggConfig::from(const weights::StateDict& weights) {
  SrvggConfig config;
  const Shape first = weights.shape("body.0.weight");
  if (first.rank() != 4 || first.size() == 0)
    refuse_srvgg(weights, "tensor \"body.0.weight\" has shape " + to_string(first));
  config.features = first[0];
  config.channels = first[1];
  int layers = 0;
  while (weights.contains("body." + std::to_string(layers) + ".weight")) ++layers;
  if (layers < 3 || layers % 2 == 0 || layers > 2 * most_srvgg_convs)
    refuse_srvgg(weights, std::to_string(layers) +
                              " layers, expected convolutions and slopes in turns, a convolution last");
  config.convs = (layers - 3) / 2;
  const Shape last = weights.shape("body." + std::to_string(layers - 1) + ".weight");
  const Index made = last.rank() == 4 ? last[0] : 0;
  config.scale = 0;
  for (const Index scale : {1, 2, 3, 4, 8})
    if (made == config.channels * scale * scale) config.scale = scale;
  if (config.scale == 0)
    refuse_srvgg(weights, "the last convolution makes " + std::to_string(made) +
                              " channels, which are no "
                              "square times the " +
                              std::to_string(config.channels) + " of a picture");
  return config;
}

template class Srvgg<float>;
template class Srvgg<bfloat16>;

}  // namespace daguerre::models
