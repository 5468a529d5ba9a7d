#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "daguerre/ops/context.hpp"
#include "daguerre/ops/weight_source.hpp"
#include "ops/engines/native/few_rows_kernels.hpp"
#include "ops/engines/native/kernels.hpp"

/// Products of few rows, as a language model makes them for each token: every weight is read once, as it is
/// stored, and nothing is packed or kept. What both engines of the library use.
namespace daguerre::ops {

/// A layer's weights, `[n, k]`, for such products, rounded to T: read in place where they are numbers or
/// whole blocks, else decoded some rows at a time.
template <class T>
class FewRowsWeights {
 public:
  explicit FewRowsWeights(Weight weight);

  /// Sums of `m` rows of `x` with weights [first, first + count), of one thread. See kernels::Dot.
  void dot(const Context& context, Index first, Index count, const float* x, Index x_stride, Index m,
           float* sums, Index sums_stride) const;

  const Weight& weight() const noexcept { return weight_; }

 private:
  /// One source's rows.
  struct Piece {
    Index first = 0, count = 0;
    const std::byte* bytes = nullptr;
    Index row_bytes = 0;
    kernels::Dot dot = nullptr;  ///< nullptr: to be decoded
  };
  Weight weight_;
  std::vector<Piece> pieces_;
};

/// A product's rows in float32, filled up with zeros as kernels::Dot asks for.
template <class T>
class WidenedRows {
 public:
  WidenedRows(const Context& context, const T* x, Index m, Index k)
      : stride_((k + kernels::dot_lanes - 1) / kernels::dot_lanes * kernels::dot_lanes) {
    if constexpr (std::is_same_v<T, float>)
      if (stride_ == k) {
        data_ = x;
        return;
      }
    buffer_ = context.empty<float>({m, stride_});
    float* to = buffer_.data();
    data_ = to;
    for (Index i = 0; i < m; ++i, x += k, to += stride_) {
      kernels::active().of<T>().to_float(x, to, k);
      std::fill(to + k, to + stride_, 0.0f);
    }
  }
  const float* data() const noexcept { return data_; }
  Index stride() const noexcept { return stride_; }

 private:
  Index stride_;
  Tensor<float> buffer_;
  const float* data_ = nullptr;
};

namespace detail {
/// Sums that are made at once: of all rows with 64 columns.
constexpr std::size_t few_rows_sums = std::size_t{kernels::few_rows} * 64;
/// Multiplications that are worth handing to another thread.
constexpr Index few_rows_piece = 32768;
}  // namespace detail

/// y[m, n] = finish(x W^T) for few rows. `sums_of(first, count, x, sums)` gives the sums of some columns, of
/// which `tile`, 64 at most, are made at once.
template <class T, class Out, class SumsOf>
void multiply_few_rows(const Context& context, Index m, Index n, Index k, Index tile, const T* x,
                       const kernels::Epilogue& epilogue, Out* y, const SumsOf& sums_of) {
  const WidenedRows<T> rows(context, x, m, k);
  const Index grain = std::max<Index>(1, detail::few_rows_piece / std::max<Index>(1, tile * k));
  parallel_for(context.threads, (n + tile - 1) / tile, grain, [&](Index begin, Index end) {
    std::array<float, detail::few_rows_sums> sums;  // in the first-level cache
    for (Index first = begin * tile; first < std::min(n, end * tile); first += tile) {
      const Index count = std::min(tile, n - first);
      sums_of(first, count, rows, sums.data());
      auto local = epilogue;
      if (local.bias != nullptr) local.bias += first;
      if (local.residual != nullptr) local.residual += first;
      kernels::active().of<Out>().finish(sums.data(), tile, m, count, local, y + first, n);
    }
  });
}

/// The same with weights in rows.
template <class T, class Out>
void multiply_few_rows(const Context& context, Index m, const FewRowsWeights<T>& weights, const T* x,
                       const kernels::Epilogue& epilogue, Out* y) {
  constexpr Index tile = 32;
  multiply_few_rows(context, m, weights.weight().rows(), weights.weight().row_size(), tile, x, epilogue, y,
                    [&](Index first, Index count, const WidenedRows<T>& rows, float* sums) {
                      weights.dot(context, first, count, rows.data(), rows.stride(), m, sums, tile);
                    });
}

/// The same with weights in panels of `width` columns, as kernels::PanelDot reads them.
template <class T, class Out>
void multiply_few_rows(const Context& context, Index m, Index n, Index k, const T* panels, Index width,
                       const T* x, const kernels::Epilogue& epilogue, Out* y) {
  constexpr Index depth = sizeof(T) == sizeof(float) ? 16 : 32;
  const Index panel_size = (k + depth - 1) / depth * depth * width;
  multiply_few_rows(context, m, n, k, width, x, epilogue, y,
                    [&](Index first, Index, const WidenedRows<T>& rows, float* sums) {
                      kernels::active_dots().template panels<T>()(panels + first / width * panel_size, width,
                                                                  k, rows.data(), rows.stride(), m, sums,
                                                                  width);
                    });
}

}  // namespace daguerre::ops
