#include "daguerre/nn/ada_group_norm-inl.hpp"

namespace daguerre::nn {

AdaGroupNorm::AdaGroupNorm(const Loader& loader, Index embedding_dim, Index channels, int groups,
                           float epsilon, ops::Activation activation)
    : linear_(loader.sub("linear"), embedding_dim, 2 * channels),
      ones_(Tensor<float>::full({channels}, 1.0f)),
      zeros_(Tensor<float>::zeros({channels})),
      groups_(groups),
      epsilon_(epsilon),
      activation_(activation) {
  if (groups < 1 || channels % groups != 0)
    throw ConfigError("nn", loader.scope.prefix() + ": " + std::to_string(channels) +
                                " channels do not split into " + std::to_string(groups) + " groups");
}

template Tensor<float> AdaGroupNorm::apply(const ops::Context&, const Tensor<float>&,
                                           const Tensor<float>&) const;
template Tensor<bfloat16> AdaGroupNorm::apply(const ops::Context&, const Tensor<float>&,
                                              const Tensor<float>&) const;

}  // namespace daguerre::nn
