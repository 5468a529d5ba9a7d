#include <algorithm>
#include <array>
#include <utility>

#include "daguerre/ops/activation-inl.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {

Activation parse_activation(std::string_view name, std::string_view who) {
  using enum Activation;
  constexpr std::array<std::pair<std::string_view, Activation>, 8> known{{{"silu", silu},
                                                                          {"swish", silu},
                                                                          {"gelu", gelu},
                                                                          {"gelu_new", gelu_tanh},
                                                                          {"gelu_pytorch_tanh", gelu_tanh},
                                                                          {"quick_gelu", quick_gelu},
                                                                          {"relu", relu},
                                                                          {"mish", mish}}};
  std::string lower(name), names;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const auto& [known_name, activation] : known) {
    if (known_name == lower) return activation;
    names.append(names.empty() ? "" : ", ").append(known_name);
  }
  throw ConfigError(who, "activation \"" + std::string(name) + "\" is not known; known are: " + names);
}

Tensor<float> activate(const Context& context, const Tensor<float>& x, Activation activation) {
  const Profile::Scope scope(context, OpKind::activation);
  return with_operations(context,
                         [&](const Operations& engine) { return engine.activate(context, x, activation); });
}

Tensor<float> Operations::activate(const Context& context, const Tensor<float>& x,
                                   Activation activation) const {
  auto y = context.empty<float>(x.shape());
  parallel_for(context.threads, x.size(), 4096, [&](Index begin, Index end) {
    kernels::active().activate(x.data() + begin, y.data() + begin, end - begin, activation);
  });
  return y;
}

template Tensor<float> gated_activation(const Context&, const Tensor<float>&, Activation);
template Tensor<bfloat16> gated_activation(const Context&, const Tensor<bfloat16>&, Activation);

}  // namespace daguerre::ops
