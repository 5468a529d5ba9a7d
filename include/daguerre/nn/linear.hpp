#pragma once

#include <span>

#include "daguerre/nn/loader.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::nn {

/// y = activation(x W^T + b), `[..., in]` to `[..., out]` (torch.nn.Linear, with the activation that follows
/// it).
template <class T>
class Linear {
 public:
  struct Options {
    bool bias = true;
    ops::Activation activation = ops::Activation::none;
    /// The file holds the weight as a 1 x 1 convolution's, [out, in, 1, 1] or [out, in, 1, 1, 1].
    bool stored_as_conv = false;
    /// The file holds it as that of a convolution whose window is the input, [out, in / elements of the
    /// window, window ...]: patches of pixels, channel by channel. Of rank 0: none.
    Shape window{};
  };

  /// Reads `weight[out, in]` and, if asked for, `bias[out]`. Throws WeightError when they are missing or of
  /// another shape.
  Linear(const Loader& loader, Index in, Index out, const Options& options = {});

  /// Several layers that read the same input, as one product whose results lie side by side: the queries,
  /// keys and values of self-attention. Each gives `out` columns.
  static Linear side_by_side(std::span<const Loader> loaders, Index in, Index out,
                             const Options& options = {});
  /// The same where each gives another number of columns, `outs[i]`: where several heads of queries share
  /// keys.
  static Linear side_by_side(std::span<const Loader> loaders, Index in, std::span<const Index> outs,
                             const Options& options = {});

  /// Rounded to T, for the next product.
  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const {
    const ops::Profile::Scope scope(context, ops::OpKind::linear, 2 * x.size() * columns_);
    return (*packed_)(context, x);
  }
  /// In float32; `residual`, of the result's shape, is added last.
  Tensor<float> accumulate(const ops::Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual = nullptr) const {
    const ops::Profile::Scope scope(context, ops::OpKind::linear, 2 * x.size() * columns_);
    return packed_->accumulate(context, x, residual);
  }

 private:
  Linear(std::shared_ptr<const ops::PackedLinear<T>> packed, Index columns)
      : packed_(std::move(packed)), columns_(columns) {}
  std::shared_ptr<const ops::PackedLinear<T>> packed_;
  Index columns_;  // of the result
};

}  // namespace daguerre::nn
