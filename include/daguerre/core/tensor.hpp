#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/core/memory.hpp"
#include "daguerre/core/shape.hpp"

namespace daguerre {

/// A contiguous, row-major n-dimensional array: a value.
///
/// Copying a tensor, slicing its leading axis and reshaping it are cheap: they share the elements until one
/// of the sharers is written to, which then gets elements of its own. So what is written to one tensor is
/// never seen in another, and `const` means const. The functions that hand out elements to be written
/// (`data`, `span`) are where this is decided: do not keep what they return over a copy of the tensor.
/// Reading one tensor from many
/// threads is safe. To write parts of one from many threads, call `data()` once before they start and give
/// them the pointer. Layouts: images `[N, H, W, C]`, token sequences `[N, L, C]`, matrices `[rows, columns]`.
/// Eigen maps are in `core/eigen.hpp`, so that this header stays free of Eigen.
template <class T>
class Tensor {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;

  /// An empty tensor of shape [0].
  Tensor() : shape_({0}) {}

  /// A tensor with uninitialised elements.
  explicit Tensor(const Shape& shape) : Tensor(Raw(), shape, allocate_bytes(byte_size(shape))) {}
  /// The same, its storage drawn from `pool`.
  Tensor(const Shape& shape, const MemoryPool& pool)
      : Tensor(Raw(), shape, pool.allocate(byte_size(shape))) {}
  /// A tensor over existing storage, which must hold at least `shape.size()` elements. Where someone else
  /// keeps it, too, the first write makes a copy.
  Tensor(const Shape& shape, std::shared_ptr<T> storage) : shape_(shape), data_(std::move(storage)) {}

  /// A tensor with every element set to `value`.
  [[nodiscard]] static Tensor full(const Shape& shape, T value) {
    Tensor result(shape);
    std::fill_n(result.data(), result.size(), value);
    return result;
  }
  [[nodiscard]] static Tensor zeros(const Shape& shape) { return full(shape, T{}); }
  /// A tensor holding a copy of `values`. Throws ArgumentError when their number is not `shape.size()`.
  [[nodiscard]] static Tensor copy_of(const Shape& shape, std::span<const T> values) {
    if (static_cast<Index>(values.size()) != shape.size())
      throw ArgumentError("Tensor",
                          std::to_string(values.size()) + " values do not fill " + to_string(shape));
    Tensor result(shape);
    std::copy(values.begin(), values.end(), result.data());
    return result;
  }

  const Shape& shape() const noexcept { return shape_; }
  int rank() const noexcept { return shape_.rank(); }
  /// Extent of `axis`; negative axes count from the end.
  Index dim(int axis) const { return shape_[axis]; }
  Index size() const noexcept { return shape_.size(); }
  bool empty() const noexcept { return size() == 0; }
  /// Whether no other tensor shares the storage, so that writing copies nothing.
  bool is_unique() const noexcept {
    if (data_.use_count() != 1) return false;
      // What the last other owner read, in whatever thread, comes before what is written from here on.
#if defined(__SANITIZE_THREAD__)
    const auto seen = data_;  // ThreadSanitizer knows no fences: the count's own operations order
#else
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    return true;
  }

  /// The elements, to be written: this tensor's own, copied before where others share them.
  T* data() & {
    if (!is_unique() && data_ != nullptr) *this = clone();
    return data_.get();
  }
  const T* data() const& noexcept {
    return data_.get();
  }
  /// Of a temporary, as `x[n]` is: to be read, while another tensor has the elements, too.
  const T* data() const&& noexcept {
    return data_.get();
  }
  std::span<T> span() & {
    return {data(), static_cast<std::size_t>(size())};
  }
  std::span<const T> span() const&& noexcept {
    return {data_.get(), static_cast<std::size_t>(size())};
  }
  std::span<const T> span() const& noexcept {
    return {data(), static_cast<std::size_t>(size())};
  }

  /// The same elements under another shape; one extent may be -1 and is worked out. Throws ArgumentError when
  /// the sizes differ.
  [[nodiscard]] Tensor reshape(std::initializer_list<Index> extents) const {
    Index known = 1;
    for (const Index extent : extents) {
      if (extent < -1) throw ArgumentError("Tensor", "reshape to an extent of " + std::to_string(extent));
      if (extent != -1) known = checked_multiply(known, extent);
    }
    std::array<Index, Shape::max_rank> resolved{};
    if (extents.size() > resolved.size()) throw ArgumentError("Tensor", "reshape to too many axes");
    std::transform(extents.begin(), extents.end(), resolved.begin(), [&](Index extent) {
      return extent != -1 ? extent : known == 0 ? 0 : size() / known;
    });
    return reshape(Shape(std::span<const Index>(resolved.data(), extents.size())));
  }
  [[nodiscard]] Tensor reshape(const Shape& shape) const {
    if (shape.size() != size())
      throw ArgumentError("Tensor", "cannot reshape " + to_string(shape_) + " to " + to_string(shape));
    return Tensor(shape, data_);
  }

  /// Elements [begin, end) of the leading axis. Throws ArgumentError when out of range.
  [[nodiscard]] Tensor slice(Index begin, Index end) const {
    if (begin < 0 || end < begin || rank() == 0 || end > dim(0))
      throw ArgumentError("Tensor", "slice [" + std::to_string(begin) + ", " + std::to_string(end) + ") of " +
                                        to_string(shape_));
    const Index stride = dim(0) == 0 ? 0 : size() / dim(0);
    return Tensor(shape_.with(0, end - begin), std::shared_ptr<T>(data_, data_.get() + begin * stride));
  }
  /// Element `i` of the leading axis, without that axis.
  [[nodiscard]] Tensor operator[](Index i) const {
    return slice(i, i + 1).reshape(shape_.tail());
  }

  /// A tensor with the same elements that shares them with none.
  [[nodiscard]] Tensor clone() const {
    return copy_of(shape_, span());
  }

  /// The elements converted to `U`; shares storage when `U` is `T`.
  template <class U>
  [[nodiscard]] Tensor<U> to() const {
    if constexpr (std::is_same_v<U, T>) {
      return *this;
    } else {
      Tensor<U> result(shape_);
      std::transform(data(), data() + size(), result.data(), convert<U, T>);
      return result;
    }
  }

 private:
  static std::size_t byte_size(const Shape& shape) {
    return static_cast<std::size_t>(checked_multiply(shape.size(), sizeof(T)));
  }
  struct Raw {};
  Tensor(Raw, const Shape& shape, std::shared_ptr<std::byte> bytes)
      : shape_(shape), data_(bytes, reinterpret_cast<T*>(bytes.get())) {}

  Shape shape_;
  std::shared_ptr<T> data_;
};

/// The tensors joined along their leading axis. All must agree in the other axes.
template <class T>
Tensor<T> concat_leading(std::span<const Tensor<T>> parts, const MemoryPool* pool = nullptr) {
  if (parts.empty()) throw ArgumentError("concat_leading", "nothing to join");
  Index total = 0;
  for (const auto& part : parts) {
    if (!(part.shape().tail() == parts[0].shape().tail()))
      throw ArgumentError("concat_leading", "shapes " + to_string(parts[0].shape()) + " and " +
                                                to_string(part.shape()) + " differ behind the first axis");
    total += part.dim(0);
  }
  const auto shape = parts[0].shape().with(0, total);
  auto result = pool == nullptr ? Tensor<T>(shape) : Tensor<T>(shape, *pool);
  T* out = result.data();
  for (const auto& part : parts) out = std::copy(part.data(), part.data() + part.size(), out);
  return result;
}

}  // namespace daguerre
