#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace daguerre {

/// Signed index and extent type of all tensors.
using Index = std::int64_t;

/// a * b; throws ArgumentError instead of overflowing. `a` and `b` must not be negative. Every size that
/// comes from a file or an option passes through here before anything is allocated.
Index checked_multiply(Index a, Index b);

/// The extents of a tensor, outermost first (row-major). At most `max_rank` of them; rank 0 is a scalar.
class Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() = default;
  /// Throws ArgumentError for a negative extent or more than `max_rank` of them.
  Shape(std::initializer_list<Index> extents);
  explicit Shape(std::span<const Index> extents);

  int rank() const noexcept { return rank_; }
  /// Extent of axis `axis`; negative axes count from the end. Throws ArgumentError when out of range.
  Index operator[](int axis) const;
  /// Number of elements (1 for a scalar). Overflow was excluded when the shape was made.
  Index size() const noexcept { return size_; }
  const Index* begin() const noexcept { return extents_.data(); }
  const Index* end() const noexcept { return extents_.data() + rank_; }

  /// This shape without its first axis.
  Shape tail() const;
  /// This shape with the extent of `axis` (negative from the end) replaced.
  Shape with(int axis, Index extent) const;

  bool operator==(const Shape& other) const noexcept;

 private:
  std::array<Index, max_rank> extents_{};
  int rank_ = 0;
  Index size_ = 1;
};

/// "[2, 4, 8]".
std::string to_string(const Shape& shape);

}  // namespace daguerre
