#pragma once

#include <array>
#include <cmath>

#include "daguerre/models/adapters/ip_adapter.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float ip_adapter_epsilon = 1e-5f;

inline nn::Loader ip_adapter_norm(const nn::Loader& root, IpAdapterConfig::Kind kind) {
  const auto projection = root.sub("image_proj");
  if (kind == IpAdapterConfig::Kind::resampler) return projection.sub("norm_out");
  return kind == IpAdapterConfig::Kind::perceptron ? projection.sub("proj", 3) : projection.sub("norm");
}

}  // namespace detail

template <class T>
IpAdapter<T>::IpAdapter(const IpAdapterConfig& config, const nn::Loader& root)
    : config_(config),
      engine_(root.context.engine),
      norm_(detail::ip_adapter_norm(root, config.kind), config.width, detail::ip_adapter_epsilon) {
  using Kind = IpAdapterConfig::Kind;
  const typename nn::Linear<T>::Options plain{.bias = false};
  const typename nn::Linear<T>::Options gelu{.activation = ops::Activation::gelu};
  const auto projection = root.sub("image_proj");
  switch (config.kind) {
    case Kind::projection:
      first_.emplace(projection.sub("proj"), config.input_width, config.tokens * config.width);
      break;
    case Kind::perceptron:
      first_.emplace(projection.sub("proj", 0), config.input_width, config.inner, gelu);
      second_.emplace(projection.sub("proj", 2), config.inner, config.width);
      break;
    case Kind::resampler: {
      const Index inner = config.inner, heads = 64 * config.heads;
      first_.emplace(projection.sub("proj_in"), config.input_width, inner);
      second_.emplace(projection.sub("proj_out"), inner, config.width);
      latents_ = projection.tensor("latents", {1, config.tokens, inner}).reshape({config.tokens, inner});
      for (int i = 0; i < config.layers; ++i) {
        const auto attention = projection.sub("layers", i).sub(std::string_view("0"));
        const auto perceptron = projection.sub("layers", i).sub(std::string_view("1"));
        const Index wide = perceptron.sub(std::string_view("1")).scope.shape("weight")[0];
        layers_.push_back({nn::LayerNorm(attention.sub("norm1"), inner, detail::ip_adapter_epsilon),
                           nn::LayerNorm(attention.sub("norm2"), inner, detail::ip_adapter_epsilon),
                           nn::Linear<T>(attention.sub("to_q"), inner, heads, plain),
                           nn::Linear<T>(attention.sub("to_kv"), inner, 2 * heads, plain),
                           nn::Linear<T>(attention.sub("to_out"), heads, inner, plain),
                           nn::LayerNorm(perceptron.sub(std::string_view("0")), inner,
                                         detail::ip_adapter_epsilon),
                           nn::Linear<T>(perceptron.sub(std::string_view("1")), inner, wide,
                                         {.bias = false, .activation = ops::Activation::gelu}),
                           nn::Linear<T>(perceptron.sub(std::string_view("3")), wide, inner, plain)});
      }
    }
  }
  for (std::size_t i = 0; i < config.attention_widths.size(); ++i) {
    const auto attention = root.sub("ip_adapter", static_cast<int>(2 * i + 1));
    to_kv_.push_back(nn::Linear<T>::side_by_side(
        std::array{attention.sub("to_k_ip"), attention.sub("to_v_ip")}, config.width,
        config.attention_widths[i], plain));
  }
}

template <class T>
Tensor<float> IpAdapter<T>::resampled(const ops::Context& context, const Tensor<float>& states) const {
  const Index batch = states.dim(0), inner = 64 * config_.heads;
  const auto x = first_->accumulate(context, ops::cast<T>(context, states));
  auto latents = ops::add_to_each(
      context, ops::full(context, {batch, config_.tokens, config_.inner}, 0.0f), latents_);
  using View = ops::TokenView<T>;
  for (const auto& layer : layers_) {
    context.check_stop();
    const auto seen = layer.norm1.template apply<T>(context, x);
    const auto own = layer.norm2.template apply<T>(context, latents);
    const auto q = layer.to_q(context, own);
    const auto kv = layer.to_kv(context, ops::concat<T>(context, std::array{seen, own}, 1));
    ops::AttentionArguments<T> arguments{View::all(q), View::columns(kv, 0, inner),
                                         View::columns(kv, inner, inner), config_.heads};
    arguments.scale = 1.0f / std::sqrt(64.0f);
    latents = layer.to_out.accumulate(context, nn::attend(context, *engine_, arguments), &latents);
    const auto hidden = layer.in(context, layer.norm.template apply<T>(context, latents));
    latents = layer.out.accumulate(context, hidden, &latents);
  }
  return second_->accumulate(context, ops::cast<T>(context, latents));
}

template <class T>
Tensor<float> IpAdapter<T>::tokens(const ops::Context& context, const Tensor<float>& features) const {
  if (features.rank() != (config_.reads_states() ? 3 : 2) || features.empty() ||
      features.dim(-1) != config_.input_width)
    throw ArgumentError("ip_adapter", "features " + to_string(features.shape()) + ", expected [N, " +
                                          (config_.reads_states() ? "L, " : "") +
                                          std::to_string(config_.input_width) + "]");
  Tensor<float> x;
  if (config_.kind == IpAdapterConfig::Kind::resampler) {
    x = resampled(context, features);
  } else if (config_.kind == IpAdapterConfig::Kind::perceptron) {
    x = second_->accumulate(context, (*first_)(context, ops::cast<T>(context, features)));
  } else {
    x = first_->accumulate(context, ops::cast<T>(context, features))
            .reshape({features.dim(0), config_.tokens, config_.width});
  }
  return norm_.apply<float>(context, x);
}

template <class T>
std::vector<Tensor<float>> IpAdapter<T>::keys_values(const ops::Context& context,
                                                     const Tensor<float>& tokens) const {
  const auto rounded = ops::cast<T>(context, tokens);
  std::vector<Tensor<float>> result;
  for (const auto& layer : to_kv_) result.push_back(layer.accumulate(context, rounded));
  return result;
}

extern template class IpAdapter<float>;
extern template class IpAdapter<bfloat16>;

}  // namespace daguerre::models
