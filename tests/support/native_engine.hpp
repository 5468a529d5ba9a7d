#pragma once

#include <memory>
#include <string_view>

#include "daguerre/ops/engine.hpp"

namespace daguerre::test {

/// What "native" does for T.
template <class T>
class AsNative : public virtual ops::EngineFor<T> {
 public:
  std::unique_ptr<const ops::PackedLinear<T>> pack_linear(const ops::Context& context,
                                                          const ops::Weight& weight,
                                                          const Tensor<float>& bias,
                                                          ops::Activation activation) const override {
    return native_->template as<T>().pack_linear(context, weight, bias, activation);
  }
  std::unique_ptr<const ops::PackedConv2d<T>> pack_conv2d(const ops::Context& context,
                                                          const ops::Weight& weight,
                                                          const Tensor<float>& bias,
                                                          const ops::ConvGeometry& geometry,
                                                          ops::Activation activation) const override {
    return native_->template as<T>().pack_conv2d(context, weight, bias, geometry, activation);
  }
  Tensor<T> attention(const ops::Context& context, const ops::AttentionArguments<T>& a) const override {
    return native_->template as<T>().attention(context, a);
  }

 private:
  std::shared_ptr<const ops::Engine> native_ = ops::make_engine("native");
};

/// An engine of a host's.
class HostEngine final : public ops::Engine, public AsNative<float>, public AsNative<bfloat16> {
 public:
  std::string_view name() const noexcept override { return "host's"; }
};

}  // namespace daguerre::test
