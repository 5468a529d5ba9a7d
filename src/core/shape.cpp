#include "daguerre/core/shape.hpp"

#include <algorithm>
#include <limits>

#include "daguerre/core/error.hpp"

namespace daguerre {

Index checked_multiply(Index a, Index b) {
  if (a < 0 || b < 0) throw ArgumentError("shape", "a size is negative");
  if (b != 0 && a > std::numeric_limits<Index>::max() / b)
    throw ArgumentError("shape",
                        "the product " + std::to_string(a) + " * " + std::to_string(b) + " overflows");
  return a * b;
}

Shape::Shape(std::initializer_list<Index> extents)
    : Shape(std::span<const Index>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const Index> extents) {
  if (extents.size() > max_rank)
    throw ArgumentError("shape", "rank " + std::to_string(extents.size()) + " is above the limit of " +
                                     std::to_string(max_rank));
  for (const Index extent : extents) {
    if (extent < 0) throw ArgumentError("shape", "extent " + std::to_string(extent) + " is negative");
    extents_[static_cast<std::size_t>(rank_++)] = extent;
    size_ = checked_multiply(size_, extent);
  }
}

Index Shape::operator[](int axis) const {
  const int positive = axis < 0 ? axis + rank_ : axis;
  if (positive < 0 || positive >= rank_)
    throw ArgumentError("shape", "axis " + std::to_string(axis) + " does not exist in " + to_string(*this));
  return extents_[static_cast<std::size_t>(positive)];
}

Shape Shape::tail() const {
  if (rank_ == 0) throw ArgumentError("shape", "a scalar has no first axis");
  return Shape(std::span<const Index>(begin() + 1, end()));
}

Shape Shape::with(int axis, Index extent) const {
  (*this)[axis];
  auto extents = extents_;
  extents[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)] = extent;
  return Shape(std::span<const Index>(extents.data(), static_cast<std::size_t>(rank_)));
}

bool Shape::operator==(const Shape& other) const noexcept {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const Index extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

}  // namespace daguerre
