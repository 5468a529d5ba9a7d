#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/tensor.hpp"

namespace daguerre::ops {

struct WeightSource;

/// Gives the rows of a weight that is not stored number by number: in blocks with a scale of their own, or as
/// another source to whose rows low-rank deltas are added. Immutable; safe from many threads at once.
class RowDecoder {
 public:
  virtual ~RowDecoder() = default;
  /// Rows [begin, end) of `source`'s leading axis, in float32, one behind the other.
  virtual void decode(const WeightSource& source, Index begin, Index end, float* out) const = 0;
};

/// A weight as it is stored, in a file's mapped pages as a rule: what reaches an engine, which converts it
/// once, or at each product.
struct WeightSource {
  DType dtype = DType::f32;                     ///< as it is stored
  Shape shape{0};                               ///< rows first: `[out, …]`
  std::span<const std::byte> bytes;             ///< row-major, at any address
  std::shared_ptr<const void> owner = nullptr;  ///< keeps `bytes`
  std::shared_ptr<const RowDecoder> decoder =
      nullptr;  ///< nullptr: elements of `dtype`, one behind the other
  /// Told which bytes are read and not needed soon; nullptr where that means nothing.
  void (*release)(std::span<const std::byte>) noexcept = nullptr;

  /// A tensor's elements, shared: float, bfloat16 or half.
  template <class T>
  static WeightSource of(const Tensor<T>& tensor) {
    const auto elements = std::make_shared<const Tensor<T>>(tensor);
    return {.dtype = dtype_of<T>(),
            .shape = tensor.shape(),
            .bytes = std::as_bytes(elements->span()),
            .owner = elements};
  }
};

/// A weight in ggml's blocks: `bytes` are whole blocks of type `dtype`, and `lead` elements of the first one
/// come before the weight's. Rows may begin anywhere in a block. Throws ArgumentError for a type that is none
/// of blocks, and for bytes that do not hold `shape`.
WeightSource block_source(DType dtype, const Shape& shape, std::span<const std::byte> bytes,
                          std::shared_ptr<const void> owner, Index lead = 0);

/// Of each row, which has the source's extents behind the first axis, what has `index` on `axis` (from 1):
/// one frame of a 3-D kernel. The axis is left out of the shape. Throws ArgumentError outside of it.
WeightSource slice_source(const WeightSource& source, int axis, Index index);

/// What an engine packs: one source, or several whose rows lie one behind the other, as those of the
/// queries', keys' and values' projections do in one product. Cheap to copy.
class Weight {
 public:
  /// Throws ArgumentError for a shape without rows, bytes that do not fill it, and blocks without a decoder.
  Weight(WeightSource source)  // NOLINT(google-explicit-constructor): one of several is the common case
      : Weight(std::vector<WeightSource>{std::move(source)}) {}
  Weight(const Tensor<float>& tensor)  // NOLINT(google-explicit-constructor): as a host makes them
      : Weight(WeightSource::of(tensor)) {}
  /// The sources' rows, in that order. Throws as above, and where they differ behind the first axis.
  explicit Weight(std::vector<WeightSource> sources);

  const Shape& shape() const noexcept { return shape_; }
  int rank() const noexcept { return shape_.rank(); }
  Index dim(int axis) const { return shape_[axis]; }
  Index rows() const { return shape_[0]; }
  /// Elements of a row.
  Index row_size() const noexcept { return row_size_; }

  /// Where the rows are, one source behind the other. Their shapes may differ from the weight's behind the
  /// first axis, not in their number of elements.
  std::span<const WeightSource> sources() const noexcept { return sources_; }

  /// The same rows, with other extents behind the first axis. Throws ArgumentError when the sizes differ.
  Weight reshaped(const Shape& shape) const;

  /// Writes rows [begin, end), converted to T (to bfloat16 as `bfloat16(float)` rounds), one behind the
  /// other. Safe from many threads. Throws ArgumentError for rows that are not there.
  void read(Index begin, Index end, float* out) const;
  void read(Index begin, Index end, bfloat16* out) const;
  template <class T>
  void read(Index begin, Index end, T* out) const {
    std::vector<float> row(static_cast<std::size_t>(row_size_));
    for (; begin < end; ++begin) {
      read(begin, begin + 1, row.data());
      out = std::transform(row.begin(), row.end(), out, convert<T, float>);
    }
  }
  /// All elements, where they are stored as T (float or bfloat16) in one piece and aligned; else nullptr.
  template <class T>
  const T* elements() const noexcept;

  /// Tells the sources that what they hold will not be needed soon: pages of a mapped file no longer count as
  /// this process's memory. Reading them again is allowed and brings them back.
  void release() const noexcept;

 private:
  template <class T>
  void read_as(Index begin, Index end, T* out) const;

  std::vector<WeightSource> sources_;
  Shape shape_;
  Index row_size_ = 0;
};

}  // namespace daguerre::ops
