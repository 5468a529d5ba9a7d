#include "ops/engines/native/panels.hpp"

#include <type_traits>

namespace daguerre::ops {
namespace {

/// Floats of a group of panels: it stays in a core's cache between being made and being multiplied.
constexpr Index group_size = Index{1} << 18;

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
  const Index width = kernels::active().panel_width;
  float* const to = packed_.data();
  parallel_for(context.threads, divided_up(n_, width), 1, [&](Index begin, Index end) {
    const Index first = begin * width;
    Maker(context, *this, weight).write(first, std::min(n_, end * width) - first, to + first * k_);
  });
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
Panels<T>::Maker::Maker(const Context& context, const Panels& panels, const Weight& source)
    : panels_(panels), source_(source) {
  const Shape shape{kernels::active().panel_width, panels.k_};
  // What is stored as it is multiplied needs no copy in between.
  const bool is_stored = source.template elements<T>() != nullptr;
  if (!std::is_same_v<T, float> || !is_stored) rows_ = context.empty<float>(shape);
  if (!std::is_same_v<T, float> && !is_stored) rounded_ = context.empty<T>(shape);
}

template <class T>
Panels<T>::Maker::Maker(const Context& context, const Panels& panels)
    : Maker(context, panels, *panels.source_) {
  group_ = context.empty<float>(panels.panels_shape(std::min(panels.group_width(), panels.n_)));
}

template <class T>
PanelGroup Panels<T>::Maker::operator()(Index first, Index columns) {
  write(first, columns, group_.data());
  return {std::as_const(group_).data(), panels_.k_, first, columns};
}

template <class T>
void Panels<T>::Maker::write(Index first, Index columns, float* to) {
  const auto& kernel = kernels::active();
  const Index k = panels_.k_, width = kernel.panel_width, depth = k / panels_.taps_;
  const T* const stored = source_.template elements<T>();
  for (Index column = 0; column < columns; column += width) {
    const Index row = first + column, count = std::min(width, columns - column);
    const float* from = nullptr;
    if constexpr (std::is_same_v<T, float>) {
      if (stored == nullptr) source_.read(row, row + count, rows_.data());
      from = stored == nullptr ? std::as_const(rows_).data() : stored + row * k;
    } else {
      if (stored == nullptr) source_.read(row, row + count, rounded_.data());
      kernel.of<T>().to_float(stored == nullptr ? std::as_const(rounded_).data() : stored + row * k,
                              rows_.data(), count * k);
      from = std::as_const(rows_).data();
    }
    for (Index tap = 0; tap < panels_.taps_; ++tap, to += depth * width)
      kernel.pack_panels(from + tap, depth, count, panels_.taps_, k, to);
  }
}

template class Panels<float>;
template class Panels<bfloat16>;

}  // namespace daguerre::ops
