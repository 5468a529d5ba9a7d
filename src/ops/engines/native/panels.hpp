#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "daguerre/ops/context.hpp"
#include "daguerre/ops/weight_source.hpp"
#include "ops/engines/native/kernels.hpp"

/// Weights in the order that the library's own products read: panels of float32 (see kernels::Kernels).
namespace daguerre::ops {

/// Neighbouring columns of a [k, n] matrix, in panels; borrowed.
struct PanelGroup {
  const float* data = nullptr;
  Index k = 0;
  Index first = 0, columns = 0;  ///< of the matrix; `first` is a multiple of the panel width

  Index panel_size() const noexcept { return k * kernels::active().panel_width; }
  /// The panel that holds the group's column `column` (a multiple of the panel width), from its row `depth`
  /// on.
  const float* at(Index column, Index depth) const noexcept {
    const Index width = kernels::active().panel_width;
    return data + column / width * panel_size() + depth * width;
  }
};

/// The [k, n] matrix of a layer's weights, rounded to T: in panels or, where weights are mapped, at its
/// source, from which groups of panels are made at each product.
template <class T>
class Panels {
 public:
  /// `weight[n, …]`, a row's elements as [k / taps, taps]; in the matrix, taps are outermost.
  Panels(const Context& context, const Weight& weight, Index taps);

  Index k() const noexcept { return k_; }
  Index n() const noexcept { return n_; }

  bool is_mapped() const noexcept { return source_.has_value(); }
  /// All of them, where they are packed.
  PanelGroup packed() const noexcept { return {packed_.data(), k_, 0, n_}; }
  /// Columns that a thread makes at once and multiplies while they are in its cache: whole panels.
  Index group_width() const;
  /// Tells a mapped source that it is not needed soon.
  void release() const noexcept {
    if (source_) source_->release();
  }

  /// Makes groups of panels in one thread, one after the other in the same memory.
  class Maker {
   public:
    Maker(const Context& context, const Panels& panels);
    /// Up to `group_width()` columns. The group before is overwritten.
    PanelGroup operator()(Index first, Index columns);

   private:
    friend class Panels;
    Maker(const Context& context, const Panels& panels, const Weight& source);
    void write(Index first, Index columns, float* to);

    const Panels& panels_;
    const Weight& source_;
    Tensor<float> rows_, group_;
    Tensor<T> rounded_;
  };

 private:
  Shape panels_shape(Index columns) const;

  Index k_, n_, taps_;
  Tensor<float> packed_;
  std::optional<Weight> source_;
};

}  // namespace daguerre::ops
