#include "ops/engines/native/panels.hpp"

#include <type_traits>

namespace daguerre::ops {
namespace {

/// Floats of a group of panels: it stays in the last-level cache between being made and being multiplied.
constexpr Index group_size = Index{4} << 20;

Index divided_up(Index value, Index by) {
  return (value + by - 1) / by;
}

}  // namespace

template <class T>
Panels<T>::Panels(const Context& context, const Weight& weight, Index taps)
    : k_(weight.row_size()), n_(weight.rows()), taps_(taps) {
  if (context.placement == WeightPlacement::mapped) {
    source_ = weight;
    return;
  }
  packed_ = Tensor<float>(panels_shape(n_));
  make(context, weight, 0, n_, packed_.data());
  weight.release();
}

template <class T>
Shape Panels<T>::panels_shape(Index columns) const {
  const Index width = kernels::active().panel_width;
  return {divided_up(columns, width), k_, width};
}

template <class T>
Index Panels<T>::group_width() const {
  const Index panel = kernels::active().panel_width;
  return std::max<Index>(1, group_size / std::max<Index>(1, k_ * panel)) * panel;
}

template <class T>
void Panels<T>::make(const Context& context, const Weight& source, Index first, Index columns,
                     float* panels) const {
  const auto& kernel = kernels::active();
  const Index width = kernel.panel_width, depth = k_ / taps_;
  // What is stored as it is multiplied needs no copy in between.
  const float* const stored = std::is_same_v<T, float> ? source.template elements<float>() : nullptr;
  parallel_for(context.threads, divided_up(columns, width), 1, [&](Index begin, Index end) {
    Tensor<float> rows;
    Tensor<T> rounded;
    if (stored == nullptr) rows = context.empty<float>({width, k_});
    if constexpr (!std::is_same_v<T, float>) rounded = context.empty<T>({width, k_});
    for (Index panel = begin; panel < end; ++panel) {
      const Index row = first + panel * width, count = std::min(width, first + columns - row);
      if constexpr (!std::is_same_v<T, float>) {
        source.read(row, row + count, rounded.data());
        kernel.of<T>().to_float(rounded.data(), rows.data(), count * k_);
      } else if (stored == nullptr) {
        source.read(row, row + count, rows.data());
      }
      const float* const from = stored == nullptr ? rows.data() : stored + row * k_;
      float* to = panels + panel * k_ * width;
      for (Index tap = 0; tap < taps_; ++tap, to += depth * width)
        kernel.pack_panels(from + tap, depth, count, taps_, k_, to);
    }
  });
}

template class Panels<float>;
template class Panels<bfloat16>;

}  // namespace daguerre::ops
