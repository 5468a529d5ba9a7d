#include <algorithm>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "daguerre/ops/engine-inl.hpp"
#include "ops/engines/engines.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {

Index ConvGeometry::output_size(Index size, Index kernel, bool vertical) const {
  const Index padded = size + (vertical ? pad_top + pad_bottom : pad_left + pad_right);
  if (stride < 1 || padded < kernel)
    throw ArgumentError("conv2d", "a kernel of " + std::to_string(kernel) + " with stride " +
                                      std::to_string(stride) + " does not fit an input of " +
                                      std::to_string(padded) + " with its padding");
  return (padded - kernel) / stride + 1;
}

void Engine::refuse(const std::type_info& type) const {
  std::string name = type.name();
  if (type == typeid(float)) name = "float";
  if (type == typeid(double)) name = "double";
  if (type == typeid(bfloat16)) name = "bfloat16";
  throw ArgumentError("engine", "the engine \"" + std::string(this->name()) + "\" does not multiply " + name);
}

template class PackedConv2d<float>;
template class PackedConv2d<bfloat16>;

std::string_view instruction_set() noexcept {
  return kernels::active().instruction_set;
}

bool has_native_bfloat16() noexcept {
#if defined(__x86_64__)
  // The clang 14 built-in knows the feature by the same name as gcc's.
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool has_fast_bfloat16() noexcept {
#if defined(__x86_64__)
  // Intel's processors since Sapphire Rapids do it in AMX, which virtual machines often hide; without it
  // their instruction for bfloat16 starts every other cycle, float32's two in each.
  return has_native_bfloat16() && (!__builtin_cpu_is("intel") || has_amx_bfloat16());
#else
  return false;
#endif
}

bool has_amx_bfloat16() noexcept {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned amx_bfloat16 = 1u << 22;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & amx_bfloat16) != 0;
#else
  return false;
#endif
}

void check_linear_shapes(const Weight& weight, const Tensor<float>& bias) {
  if (weight.rank() != 2)
    throw ArgumentError("linear", "weight " + to_string(weight.shape()) + ", expected [out, in]");
  if (!bias.empty() && !(bias.shape() == Shape{weight.dim(0)}))
    throw ArgumentError("linear",
                        "bias " + to_string(bias.shape()) + " beside weight " + to_string(weight.shape()));
}

void check_conv_shapes(const Weight& weight, const Tensor<float>& bias) {
  if (weight.rank() != 4)
    throw ArgumentError("conv2d",
                        "weight " + to_string(weight.shape()) + ", expected [out, in, height, width]");
  if (!bias.empty() && !(bias.shape() == Shape{weight.dim(0)}))
    throw ArgumentError("conv2d",
                        "bias " + to_string(bias.shape()) + " beside weight " + to_string(weight.shape()));
}

Shape linear_output_shape(const Shape& input, Index in, Index out) {
  if (input.rank() == 0 || input[-1] != in)
    throw ArgumentError(
        "linear", "input " + to_string(input) + ", the weights ask for " + std::to_string(in) + " columns");
  return input.with(-1, out);
}

Shape conv_output_shape(const Shape& input, const Shape& weight, const ConvGeometry& geometry) {
  if (input.rank() != 4 || input[3] != weight[1])
    throw ArgumentError(
        "conv2d", "input " + to_string(input) + ", expected [N, H, W, " + std::to_string(weight[1]) + "]");
  return {input[0], geometry.output_size(input[1], weight[2], true),
          geometry.output_size(input[2], weight[3], false), weight[0]};
}

Tensor<float> destination(const Context& context, const Shape& shape, Tensor<float> residual) {
  if (!residual.empty() && residual.is_unique()) return residual;
  auto y = context.empty<float>(shape);
  const float* const from = std::as_const(residual).data();
  float* const to = y.data();
  parallel_for(context.threads, residual.size(), 65536,
               [&](Index begin, Index end) { std::copy(from + begin, from + end, to + begin); });
  return y;
}

void check_residual(const Shape& result, const Tensor<float>* residual, std::string_view who) {
  if (residual != nullptr && !(residual->shape() == result))
    throw ArgumentError(who,
                        "residual " + to_string(residual->shape()) + ", the result is " + to_string(result));
}

template <class T>
void check_attention(const AttentionArguments<T>& a) {
  const int key_heads = a.heads_of_keys();
  const bool fits = a.query.batch == a.key.batch && a.key.batch == a.value.batch &&
                    a.key.length == a.value.length && a.heads > 0 && key_heads > 0 &&
                    a.heads % key_heads == 0 && a.query.width % a.heads == 0 &&
                    a.value.width % key_heads == 0 && a.key.length > 0 &&
                    a.query.width / a.heads * key_heads == a.key.width;
  if (!fits)
    throw ArgumentError("attention",
                        "query [" + std::to_string(a.query.batch) + ", " + std::to_string(a.query.length) +
                            ", " + std::to_string(a.query.width) + "], key and value [" +
                            std::to_string(a.key.batch) + ", " + std::to_string(a.key.length) + ", " +
                            std::to_string(a.key.width) + "] do not fit " + std::to_string(a.heads) +
                            " heads, of keys " + std::to_string(key_heads));
  // A query sees its own key at least.
  if (a.first_query < 0 || a.window < 0 || !(a.soft_cap >= 0.0f) ||
      (a.causal && a.first_query + a.query.length > a.key.length && a.first_query > 0) ||
      (!a.causal && (a.first_query != 0 || a.window != 0)))
    throw ArgumentError("attention", "query " + std::to_string(a.first_query) + " and a window of " +
                                         std::to_string(a.window) + " are not possible with " +
                                         std::to_string(a.query.length) + " queries and " +
                                         std::to_string(a.key.length) + " keys");
  if (a.key_bias != nullptr && !(a.key_bias->shape() == Shape{a.key.batch, a.key.length}))
    throw ArgumentError("attention", "key bias " + to_string(a.key_bias->shape()) + ", expected [" +
                                         std::to_string(a.key.batch) + ", " + std::to_string(a.key.length) +
                                         "]");
  const Shape relative{a.query.length + a.key.length - 1, a.heads};
  if (a.relative_bias != nullptr && !(a.relative_bias->shape() == relative))
    throw ArgumentError("attention", "relative bias " + to_string(a.relative_bias->shape()) + ", expected " +
                                         to_string(relative));
}
template void check_attention<float>(const AttentionArguments<float>&);
template void check_attention<bfloat16>(const AttentionArguments<bfloat16>&);

}  // namespace daguerre::ops
