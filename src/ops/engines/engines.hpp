#pragma once

#include "daguerre/ops/engine.hpp"

/// What the engines share: their makers and the checks of what they are given.
namespace daguerre::ops {

std::shared_ptr<const Engine> make_native_engine();
#ifdef DAGUERRE_HAS_ONEDNN
inline constexpr bool has_onednn = true;
#else
inline constexpr bool has_onednn = false;
#endif
/// nullptr where the library was built without oneDNN.
std::shared_ptr<const Engine> make_onednn_engine();

/// True where the processor multiplies bfloat16 in AMX.
bool has_amx_bfloat16() noexcept;

/// Layers of 8 bits; to be called only where there is the engine "onednn". Arguments as those of EngineFor,
/// checked.
std::unique_ptr<const PackedLinear<bfloat16>> make_int8_linear(const Context& context, const Weight& weight,
                                                               const Tensor<float>& bias,
                                                               Activation activation);
std::unique_ptr<const PackedConv2d<bfloat16>> make_int8_conv2d(const Context& context, const Weight& weight,
                                                               const Tensor<float>& bias,
                                                               const ConvGeometry& geometry,
                                                               Activation activation);

/// All of these throw ArgumentError.
void check_linear_shapes(const Weight& weight, const Tensor<float>& bias);
void check_conv_shapes(const Weight& weight, const Tensor<float>& bias);
Shape linear_output_shape(const Shape& input, Index in, Index out);
Shape conv_output_shape(const Shape& input, const Shape& weight, const ConvGeometry& geometry);
/// The tensor that a result of `shape` is written to or, where there is a residual, added to: the residual
/// itself where nobody shares it, else a copy.
Tensor<float> destination(const Context& context, const Shape& shape, Tensor<float> residual);
void check_residual(const Shape& result, const Tensor<float>* residual, std::string_view who);
template <class T>
void check_attention(const AttentionArguments<T>& arguments);

/// Attention on the library's own kernels, what every engine on the processor runs: neither oneDNN's nor
/// Eigen's products stay near the arithmetic limit on tiles that fit the caches. One pass over the keys for
/// each block of queries (Rabe & Staats 2021; Dao et al. 2022).
template <class T>
Tensor<T> blockwise_attention(const Context& context, const AttentionArguments<T>& arguments);

}  // namespace daguerre::ops
