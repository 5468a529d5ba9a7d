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

Tensor<float> leaky_relu(const Context& context, Tensor<float> x, const Tensor<float>& slopes) {
  const Profile::Scope scope(context, OpKind::activation);
  const bool fits = slopes.size() == 1 || (x.rank() > 0 && slopes.size() == x.dim(-1));
  if (!fits)
    throw ArgumentError("leaky_relu", std::to_string(slopes.size()) + " slopes for " + to_string(x.shape()));
  return with_operations(
      context, [&](const Operations& engine) { return engine.leaky_relu(context, std::move(x), slopes); });
}

Tensor<float> Operations::leaky_relu(const Context& context, Tensor<float> x,
                                     const Tensor<float>& slopes) const {
  auto y = std::move(x);
  float* const values = y.data();
  const Index channels = slopes.size();
  parallel_for(context.threads, y.size() / channels, std::max<Index>(1, 4096 / channels),
               [&](Index begin, Index end) {
                 const float* slope = slopes.data();
                 float* row = values + begin * channels;
                 if (channels == 1) {
                   for (Index i = 0; i < end - begin; ++i) row[i] = row[i] > 0.0f ? row[i] : row[i] * *slope;
                   return;
                 }
                 for (Index i = begin; i < end; ++i, row += channels)
                   for (Index c = 0; c < channels; ++c) row[c] = row[c] > 0.0f ? row[c] : row[c] * slope[c];
               });
  return y;
}

template Tensor<float> gated_activation(const Context&, const Tensor<float>&, Activation);
template Tensor<bfloat16> gated_activation(const Context&, const Tensor<bfloat16>&, Activation);

}  // namespace daguerre::ops
