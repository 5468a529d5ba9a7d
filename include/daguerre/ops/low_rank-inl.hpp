#pragma once

#include <utility>

#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/low_rank.hpp"

namespace daguerre::ops {
namespace detail {

/// What is small is packed, however the rest is kept.
inline Context packing(Context context) {
  context.placement = WeightPlacement::packed;
  return context;
}

// The small product comes first, so that the large one adds it while it writes its own results.

template <class T>
class LowRankLinear final : public PackedLinear<T> {
 public:
  LowRankLinear(const Context& context, std::shared_ptr<const PackedLinear<T>> base,
                const LowRankStack& stack, const Tensor<float>& bias)
      : base_(std::move(base)),
        down_(context.engine->as<T>().pack_linear(context, stack.down, {})),
        up_(context.engine->as<T>().pack_linear(context, stack.up, bias)) {}

  Tensor<T> operator()(const Context& context, const Tensor<T>& x) const override {
    return cast<T>(context, accumulate(context, x, nullptr));
  }
  Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    const auto change = up_->accumulate(context, (*down_)(context, x), residual);
    return base_->accumulate(context, x, &change);
  }

 private:
  std::shared_ptr<const PackedLinear<T>> base_;
  std::unique_ptr<const PackedLinear<T>> down_, up_;
};

template <class T>
class LowRankConv2d final : public PackedConv2d<T> {
 public:
  LowRankConv2d(const Context& context, std::shared_ptr<const PackedConv2d<T>> base, const Shape& weight,
                const ConvGeometry& geometry, const LowRankStack& stack, const Tensor<float>& bias)
      : base_(std::move(base)),
        down_(context.engine->as<T>().pack_conv2d(
            context, stack.down.reshape({stack.rank(), weight[1], weight[2], weight[3]}), {}, geometry)),
        up_(context.engine->as<T>().pack_linear(context, stack.up, bias)) {}

  Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    auto change =
        up_->accumulate(context, down_->rounded(context, x), residual.empty() ? nullptr : &residual);
    residual = {};
    return (*base_)(context, x, std::move(change));
  }

 private:
  std::shared_ptr<const PackedConv2d<T>> base_;
  std::unique_ptr<const PackedConv2d<T>> down_;
  std::unique_ptr<const PackedLinear<T>> up_;
};

}  // namespace detail

template <class T>
std::shared_ptr<const PackedLinear<T>> with_low_rank(const Context& context,
                                                     std::shared_ptr<const PackedLinear<T>> base,
                                                     const LowRankStack& stack, const Tensor<float>& bias) {
  return std::make_shared<const detail::LowRankLinear<T>>(detail::packing(context), std::move(base), stack,
                                                          bias);
}

template <class T>
std::shared_ptr<const PackedConv2d<T>> with_low_rank(const Context& context,
                                                     std::shared_ptr<const PackedConv2d<T>> base,
                                                     const Shape& weight, const ConvGeometry& geometry,
                                                     const LowRankStack& stack, const Tensor<float>& bias) {
  return std::make_shared<const detail::LowRankConv2d<T>>(detail::packing(context), std::move(base), weight,
                                                          geometry, stack, bias);
}

}  // namespace daguerre::ops
