#pragma once

#include <memory>

#include "daguerre/ops/engine.hpp"
#include "ops/engines/native/winograd_kernels.hpp"

/// Convolutions of 3 x 3 pixels that move by one, by Winograd's minimal filtering: what both engines of the
/// library use. All arithmetic is float32, also where bfloat16 is multiplied.
namespace daguerre::ops {

/// Whether a convolution `weight[out, in, kh, kw]` is one of those, and has channels enough that the
/// transforms pay: 32 on both sides.
bool suits_winograd(const Context& context, const Shape& weight, const ConvGeometry& geometry) noexcept;

/// Arguments as those of EngineFor::pack_conv2d, checked, and such that `suits_winograd`. Results depend on
/// the layer and each picture alone: neither on threads nor on the batch.
template <class T>
std::unique_ptr<const PackedConv2d<T>> make_winograd_conv2d(
    const Context& context, const Weight& weight, const Tensor<float>& bias, const ConvGeometry& geometry,
    Activation activation = Activation::none,
    const kernels::WinogradKernels& kernels = kernels::active_winograd());

}  // namespace daguerre::ops
