#include "daguerre/nn/norm.hpp"

namespace daguerre::nn {

GroupNorm::GroupNorm(const Loader& loader, Index channels, int groups, float epsilon,
                     ops::Activation activation)
    : gamma_(loader.tensor("weight", {channels})),
      beta_(loader.tensor("bias", {channels})),
      groups_(groups),
      epsilon_(epsilon),
      activation_(activation) {
  if (groups < 1 || channels % groups != 0)
    throw ConfigError("nn", loader.scope.prefix() + ": " + std::to_string(channels) +
                                " channels do not split into " + std::to_string(groups) + " groups");
}

}  // namespace daguerre::nn
