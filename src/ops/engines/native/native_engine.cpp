#include <algorithm>
#include <vector>

#include "daguerre/core/version.hpp"
#include "ops/engines/engines.hpp"
#include "ops/engines/native/few_rows.hpp"
#include "ops/engines/native/kernels.hpp"
#include "ops/engines/native/panels.hpp"
#include "ops/engines/native/winograd_conv.hpp"

// The engine that is always there. Products run on the library's own kernels over panels of weights, packed
// at load or made group by group; convolutions are products whose rows are picked from the image tap by tap,
// so no patch matrix is ever built. Those of 3 x 3 pixels go by Winograd's minimal filtering.
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

/// Of mapped weights, groups of columns are divided among threads while there are as many, else rows, too.
constexpr Index enough_groups = 32;

/// out[m, n] = finish(sum over taps of rows(tap) * panels(tap)). `row_of(i, tap)` points to the `depth`
/// inputs of row i.
template <class T, class Out, class RowOf>
struct Product {
  Index m, n;
  int taps;
  Index depth;
  const RowOf& row_of;
  const Epilogue& epilogue;
  Out* out;
};

/// What a thread needs for its tasks.
template <class T>
class Worker {
 public:
  explicit Worker(const Context& context)
      : accumulators_(context.empty<float>({task_rows(), task_columns()})),
        rows_(static_cast<std::size_t>(task_rows())) {}

  static Index task_rows() noexcept { return task_row_blocks * kernels::active().row_block; }
  static Index task_columns() noexcept { return task_panels * kernels::active().panel_width; }

  /// The task at `row` of the product and `column` of the group.
  template <class Out, class RowOf>
  void run(const Product<T, Out, RowOf>& product, const PanelGroup& weights, Index row, Index column) {
    const auto& kernel = kernels::active();
    const Index row_count = std::min(task_rows(), product.m - row);
    const Index column_count = std::min(task_columns(), weights.columns - column);
    std::fill_n(accumulators_.data(), row_count * task_columns(), 0.0f);
    for (int tap = 0; tap < product.taps; ++tap)
      for (Index d = 0; d < product.depth; d += depth_block) {
        for (Index i = 0; i < row_count; ++i)
          rows_[static_cast<std::size_t>(i)] = product.row_of(row + i, tap) + d;
        kernel.of<T>().multiply(rows_.data(), row_count, std::min(depth_block, product.depth - d),
                                weights.at(column, tap * product.depth + d), weights.panel_size(),
                                column_count, accumulators_.data(), task_columns());
      }
    const Index at = row * product.n + weights.first + column;
    Epilogue local = product.epilogue;
    if (local.bias != nullptr) local.bias += weights.first + column;
    if (local.residual != nullptr) local.residual += at;
    kernel.of<Out>().finish(accumulators_.data(), task_columns(), row_count, column_count, local,
                            product.out + at, product.n);
  }

 private:
  Tensor<float> accumulators_;
  std::vector<const T*> rows_;
};

template <class T, class Out, class RowOf>
void multiply_packed(const Context& context, const Product<T, Out, RowOf>& product,
                     const PanelGroup& weights) {
  const Index rows = Worker<T>::task_rows(), columns = Worker<T>::task_columns();
  const Index row_tasks = (product.m + rows - 1) / rows;
  const Index column_tasks = (weights.columns + columns - 1) / columns;
  parallel_for(context.threads, row_tasks * column_tasks, 1, [&](Index begin, Index end) {
    Worker<T> worker(context);
    for (Index task = begin; task < end; ++task)
      worker.run(product, weights, task / column_tasks * rows, task % column_tasks * columns);
  });
}

/// Each group of columns is made by the thread that multiplies it.
template <class T, class Out, class RowOf>
void multiply_mapped(const Context& context, const Product<T, Out, RowOf>& product,
                     const Panels<T>& weights) {
  const Index width = weights.group_width(), groups = (product.n + width - 1) / width;
  const Index row_tasks = (product.m + Worker<T>::task_rows() - 1) / Worker<T>::task_rows();
  const Index parts =
      std::clamp<Index>(enough_groups / std::max<Index>(groups, 1), 1, std::max<Index>(row_tasks, 1));
  const Index rows = (row_tasks + parts - 1) / parts * Worker<T>::task_rows();
  parallel_for(context.threads, groups * parts, 1, [&](Index begin, Index end) {
    Worker<T> worker(context);
    typename Panels<T>::Maker make(context, weights);
    PanelGroup group;
    for (Index task = begin; task < end; ++task) {
      context.check_stop();
      const Index first = task / parts * width, part = task % parts;
      if (task == begin || part == 0) group = make(first, std::min(width, product.n - first));
      for (Index row = part * rows; row < std::min(product.m, (part + 1) * rows);
           row += Worker<T>::task_rows())
        for (Index column = 0; column < group.columns; column += Worker<T>::task_columns())
          worker.run(product, group, row, column);
    }
  });
  weights.release();
}

template <class T, class Out, class RowOf>
void multiply_taps(const Context& context, Index m, int taps, Index depth, const RowOf& row_of,
                   const Panels<T>& weights, const Epilogue& epilogue, Out* out) {
  const Product<T, Out, RowOf> product{m, weights.n(), taps, depth, row_of, epilogue, out};
  if (weights.is_mapped())
    multiply_mapped(context, product, weights);
  else
    multiply_packed(context, product, weights.packed());
}

/// Rows as a linear layer multiplies them: where they are mapped as they are stored, else rounded to T.
template <class T>
Weight linear_rows(const Context& context, const Weight& weight) {
  if (context.placement == WeightPlacement::mapped) return weight;
  Tensor<T> rows(weight.shape());
  T* const to = rows.data();
  const Index size = std::max<Index>(1, weight.row_size());
  parallel_for(context.threads, weight.rows(), std::max<Index>(1, 65536 / size),
               [&](Index begin, Index end) { weight.read(begin, end, to + begin * size); });
  weight.release();
  return WeightSource::of(rows);
}
Context with_mapped(Context context) {
  context.placement = WeightPlacement::mapped;
  return context;
}

/// Packed weights lie in rows, too: panels made of them group by group cost many rows next to nothing, few
/// rows read them as they are.
template <class T>
class NativeLinear final : public PackedLinear<T> {
 public:
  NativeLinear(const Context& context, const Weight& weight, const Tensor<float>& bias, Activation activation)
      : rows_(linear_rows<T>(context, weight)),
        weights_(with_mapped(context), rows_.weight(), 1),
        bias_(bias),
        activation_(activation) {}

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
    const Index m = k == 0 ? 0 : x.size() / k;
    if (m > 0 && m <= kernels::few_rows) {
      multiply_few_rows(context, m, rows_, x.data(), epilogue, y.data());
      weights_.release();
      return y;
    }
    multiply_taps<T>(
        context, m, 1, k, [&](Index row, int) { return x.data() + row * k; }, weights_, epilogue, y.data());
    return y;
  }

  FewRowsWeights<T> rows_;
  Panels<T> weights_;
  Tensor<float> bias_;
  Activation activation_;
};

template <class T>
class NativeConv2d final : public PackedConv2d<T> {
 public:
  NativeConv2d(const Context& context, const Weight& weight, const Tensor<float>& bias,
               const ConvGeometry& geometry, Activation activation)
      : shape_(weight.shape()),
        weights_(context, weight, std::max<Index>(1, weight.dim(2) * weight.dim(3))),
        bias_(bias),
        zeros_(Tensor<T>::zeros({weight.dim(1)})),
        geometry_(geometry),
        activation_(activation) {}

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
    const Epilogue epilogue{bias_.empty() ? nullptr : bias_.data(), activation_, added};
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
  Activation activation_;
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
                                                     const Tensor<float>& bias, const ConvGeometry& geometry,
                                                     Activation activation) const override {
    check_conv_shapes(weight, bias);
    if (suits_winograd(context, weight.shape(), geometry))
      return make_winograd_conv2d<T>(context, weight, bias, geometry, activation);
    return std::make_unique<NativeConv2d<T>>(context, weight, bias, geometry, activation);
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
