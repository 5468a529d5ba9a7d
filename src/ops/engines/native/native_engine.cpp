#include <algorithm>
#include <vector>

#include "daguerre/core/version.hpp"
#include "ops/engines/engines.hpp"
#include "ops/engines/native/kernels.hpp"
#include "ops/engines/native/panels.hpp"

// The engine that is always there. Products run on the library's own kernels over panels of weights, packed
// at load or made group by group; convolutions are products whose rows are picked from the image tap by tap,
// so no patch matrix is ever built.
namespace daguerre::ops {
namespace {

using kernels::Epilogue;

/// Rows of the result that one task works on, in units of the kernels' row block, and columns in units of
/// panels: the rows' inputs stay in the second-level cache while the panels pass by.
constexpr Index task_row_blocks = 10;
constexpr Index task_panels = 16;
/// Depth of the inner product that is worked on at once, so that a panel's piece stays in the first-level
/// cache.
constexpr Index depth_block = 256;

/// Columns of out[m, n] = finish(sum over taps of rows(tap) * panels(tap)). `row_of(i, tap)` points to the
/// `depth` inputs of row i.
template <class T, class Out, class RowOf>
void multiply_group(const Context& context, Index m, Index n, int taps, Index depth, const RowOf& row_of,
                    const PanelGroup& weights, const Epilogue& epilogue, Out* out) {
  const auto& kernel = kernels::active();
  const auto& rows_kernel = kernel.of<T>();
  const Index task_rows = task_row_blocks * kernel.row_block;
  const Index task_columns = task_panels * kernel.panel_width;
  const Index row_tasks = (m + task_rows - 1) / task_rows;
  const Index column_tasks = (weights.columns + task_columns - 1) / task_columns;

  parallel_for(context.threads, row_tasks * column_tasks, 1, [&](Index begin, Index end) {
    auto accumulators = context.empty<float>({task_rows, task_columns});
    std::vector<const T*> rows(static_cast<std::size_t>(task_rows));
    for (Index task = begin; task < end; ++task) {
      const Index row = task / column_tasks * task_rows, column = task % column_tasks * task_columns;
      const Index row_count = std::min(task_rows, m - row);
      const Index column_count = std::min(task_columns, weights.columns - column);
      std::fill_n(accumulators.data(), row_count * task_columns, 0.0f);
      for (int tap = 0; tap < taps; ++tap)
        for (Index d = 0; d < depth; d += depth_block) {
          for (Index i = 0; i < row_count; ++i) rows[static_cast<std::size_t>(i)] = row_of(row + i, tap) + d;
          rows_kernel.multiply(rows.data(), row_count, std::min(depth_block, depth - d),
                               weights.at(column, tap * depth + d), weights.panel_size(), column_count,
                               accumulators.data(), task_columns);
        }
      const Index at = row * n + weights.first + column;
      Epilogue local = epilogue;
      if (local.bias != nullptr) local.bias += weights.first + column;
      if (local.residual != nullptr) local.residual += at;
      kernel.of<Out>().finish(accumulators.data(), task_columns, row_count, column_count, local, out + at, n);
    }
  });
}

/// The same for all columns.
template <class T, class Out, class RowOf>
void multiply_taps(const Context& context, Index m, int taps, Index depth, const RowOf& row_of,
                   const Panels<T>& weights, const Epilogue& epilogue, Out* out) {
  weights.for_each_group(context, [&](const PanelGroup& group) {
    multiply_group<T>(context, m, weights.n(), taps, depth, row_of, group, epilogue, out);
  });
}

template <class T>
class NativeLinear final : public PackedLinear<T> {
 public:
  NativeLinear(const Context& context, const Weight& weight, const Tensor<float>& bias, Activation activation)
      : weights_(context, weight, 1), bias_(bias), activation_(activation) {}

  Tensor<T> operator()(const Context& context, const Tensor<T>& x) const override {
    return multiply<T>(context, x, nullptr);
  }
  Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    return multiply<float>(context, x, residual);
  }

 private:
  template <class Out>
  Tensor<Out> multiply(const Context& context, const Tensor<T>& x, const Tensor<float>* residual) const {
    const Index k = weights_.k();
    auto y = context.empty<Out>(linear_output_shape(x.shape(), k, weights_.n()));
    check_residual(y.shape(), residual, "linear");
    const Epilogue epilogue{bias_.empty() ? nullptr : bias_.data(), activation_,
                            residual == nullptr ? nullptr : residual->data()};
    multiply_taps<T>(
        context, k == 0 ? 0 : x.size() / k, 1, k, [&](Index row, int) { return x.data() + row * k; },
        weights_, epilogue, y.data());
    return y;
  }

  Panels<T> weights_;
  Tensor<float> bias_;
  Activation activation_;
};

template <class T>
class NativeConv2d final : public PackedConv2d<T> {
 public:
  NativeConv2d(const Context& context, const Weight& weight, const Tensor<float>& bias,
               const ConvGeometry& geometry)
      : shape_(weight.shape()),
        weights_(context, weight, std::max<Index>(1, weight.dim(2) * weight.dim(3))),
        bias_(bias),
        zeros_(Tensor<T>::zeros({weight.dim(1)})),
        geometry_(geometry) {}

  Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    const auto shape = conv_output_shape(x.shape(), shape_, geometry_);
    check_residual(shape, residual.empty() ? nullptr : &residual, "conv2d");
    // Each element is read before it is written, so the result may take the residual's place.
    const float* const added = residual.empty() ? nullptr : std::as_const(residual).data();
    const bool in_place = added != nullptr && residual.is_unique();
    auto y = in_place ? std::move(residual) : context.empty<float>(shape);
    const Index in = shape_[1], kernel_width = shape_[3];
    const Index height = x.dim(1), width = x.dim(2), out_height = y.dim(1), out_width = y.dim(2);
    const auto row_of = [&](Index pixel, int tap) {
      const Index n = pixel / (out_height * out_width), rest = pixel % (out_height * out_width);
      const Index row = rest / out_width * geometry_.stride - geometry_.pad_top + tap / kernel_width;
      const Index column = rest % out_width * geometry_.stride - geometry_.pad_left + tap % kernel_width;
      const bool outside = row < 0 || row >= height || column < 0 || column >= width;
      return outside ? zeros_.data() : x.data() + ((n * height + row) * width + column) * in;
    };
    const Epilogue epilogue{bias_.empty() ? nullptr : bias_.data(), Activation::none, added};
    multiply_taps<T>(context, y.size() / y.dim(3), static_cast<int>(shape_[2] * kernel_width), in, row_of,
                     weights_, epilogue, y.data());
    return y;
  }

 private:
  Shape shape_;
  Panels<T> weights_;
  Tensor<float> bias_;
  Tensor<T> zeros_;
  ConvGeometry geometry_;
};

template <class T>
class NativeEngineFor : public EngineFor<T> {
 public:
  std::unique_ptr<const PackedLinear<T>> pack_linear(const Context& context, const Weight& weight,
                                                     const Tensor<float>& bias,
                                                     Activation activation) const override {
    check_linear_shapes(weight, bias);
    return std::make_unique<NativeLinear<T>>(context, weight, bias, activation);
  }
  std::unique_ptr<const PackedConv2d<T>> pack_conv2d(const Context& context, const Weight& weight,
                                                     const Tensor<float>& bias,
                                                     const ConvGeometry& geometry) const override {
    check_conv_shapes(weight, bias);
    return std::make_unique<NativeConv2d<T>>(context, weight, bias, geometry);
  }
  Tensor<T> attention(const Context& context, const AttentionArguments<T>& a) const override {
    return blockwise_attention(context, a);
  }
};

class NativeEngine final : public Engine, public NativeEngineFor<float>, public NativeEngineFor<bfloat16> {
 public:
  std::string_view name() const noexcept override { return "native"; }
  std::string version() const override { return daguerre::version(); }
};

}  // namespace

std::shared_ptr<const Engine> make_native_engine() {
  return std::make_shared<NativeEngine>();
}

}  // namespace daguerre::ops
