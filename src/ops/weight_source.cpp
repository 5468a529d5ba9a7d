#include "daguerre/ops/weight_source.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/stored_elements.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {
namespace {

constexpr const char* weight_name = "weight";

void check_source(const WeightSource& source) {
  if (source.shape.rank() == 0) throw ArgumentError(weight_name, "a single number has no rows");
  if (source.decoder != nullptr) return;
  if (is_block(source.dtype))
    throw ArgumentError(weight_name, "blocks of type " + std::string(name(source.dtype)) +
                                         " have no decoder; block_source gives them one");
  const auto size = static_cast<std::size_t>(
      checked_multiply(source.shape.size(), static_cast<Index>(size_of(source.dtype))));
  if (source.bytes.size() != size)
    throw ArgumentError(weight_name, std::to_string(source.bytes.size()) + " bytes, " +
                                         to_string(source.shape) + " in " + std::string(name(source.dtype)) +
                                         " takes " + std::to_string(size));
}

/// `count` elements to float32.
void widen(DType dtype, const std::byte* from, float* out, Index count) {
  switch (dtype) {
    case DType::f32:
      std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case DType::f16:
      return kernels::active().half_to_float(from, out, count);
    case DType::bf16:
      return kernels::active().bfloat16_to_float(from, out, count);
    default:
      convert_elements(dtype, from, out, static_cast<std::size_t>(count));
  }
}

void convert_stored(DType dtype, const std::byte* from, float* out, Index count) {
  widen(dtype, from, out, count);
}
void convert_stored(DType dtype, const std::byte* from, bfloat16* out, Index count) {
  if (dtype == DType::bf16) {
    std::memcpy(static_cast<void*>(out), from, static_cast<std::size_t>(count) * sizeof(bfloat16));
    return;
  }
  std::array<float, 1024> values;  // in the first-level cache
  const auto width = static_cast<Index>(size_of(dtype));
  for (Index i = 0; i < count; i += values.size()) {
    const Index part = std::min<Index>(count - i, values.size());
    widen(dtype, from + i * width, values.data(), part);
    kernels::active().bf16.from_float(values.data(), out + i, part);
  }
}

template <class T>
void read_rows(const WeightSource& source, Index row_size, Index begin, Index end, T* out) {
  if (source.decoder == nullptr) {
    const auto width = static_cast<Index>(size_of(source.dtype));
    return convert_stored(source.dtype, source.bytes.data() + begin * row_size * width, out,
                          (end - begin) * row_size);
  }
  if constexpr (std::is_same_v<T, float>) {
    source.decoder->decode(source, begin, end, out);
  } else {
    std::vector<float> row(static_cast<std::size_t>(row_size));
    for (; begin < end; ++begin, out += row_size) {
      source.decoder->decode(source, begin, begin + 1, row.data());
      kernels::active().bf16.from_float(row.data(), out, row_size);
    }
  }
}

/// Rows of a wider weight, of which a part is left out.
class SliceDecoder final : public RowDecoder {
 public:
  SliceDecoder(Weight whole, Index blocks, Index stride, Index begin, Index length)
      : whole_(std::move(whole)), blocks_(blocks), stride_(stride), begin_(begin), length_(length) {}
  void decode(const WeightSource&, Index begin, Index end, float* out) const override {
    std::vector<float> row(static_cast<std::size_t>(whole_.row_size()));
    for (; begin < end; ++begin) {
      whole_.read(begin, begin + 1, row.data());
      for (Index block = 0; block < blocks_; ++block) {
        const float* const from = row.data() + block * stride_ + begin_;
        out = std::copy(from, from + length_, out);
      }
    }
  }

 private:
  Weight whole_;
  Index blocks_, stride_, begin_, length_;
};

}  // namespace

WeightSource slice_source(const WeightSource& source, int axis, Index index) {
  const auto& shape = source.shape;
  if (axis < 1 || axis >= shape.rank() || index < 0 || index >= shape[axis])
    throw ArgumentError(weight_name, "no slice " + std::to_string(index) + " on axis " +
                                         std::to_string(axis) + " of " + to_string(shape));
  std::vector<Index> extents;
  Index blocks = 1, length = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i != axis) extents.push_back(shape[i]);
    if (i > 0 && i < axis) blocks *= shape[i];
    if (i > axis) length *= shape[i];
  }
  auto result = source;
  result.shape = Shape(std::span<const Index>(extents));
  result.decoder =
      std::make_shared<SliceDecoder>(Weight(source), blocks, shape[axis] * length, index * length, length);
  return result;
}

Weight::Weight(std::vector<WeightSource> sources) : sources_(std::move(sources)) {
  if (sources_.empty()) throw ArgumentError(weight_name, "there is no source");
  Index rows = 0;
  for (const auto& source : sources_) {
    check_source(source);
    if (!(source.shape.tail() == sources_.front().shape.tail()))
      throw ArgumentError(weight_name, "shapes " + to_string(sources_.front().shape) + " and " +
                                           to_string(source.shape) + " differ behind the first axis");
    rows += source.shape[0];
  }
  shape_ = sources_.front().shape.with(0, rows);
  row_size_ = shape_.tail().size();
}

Weight Weight::reshaped(const Shape& shape) const {
  if (shape.rank() == 0 || shape[0] != rows() || shape.size() != shape_.size())
    throw ArgumentError(weight_name, "cannot reshape " + to_string(shape_) + " to " + to_string(shape));
  Weight result = *this;
  result.shape_ = shape;
  return result;
}

template <class T>
void Weight::read_as(Index begin, Index end, T* out) const {
  if (begin < 0 || end < begin || end > rows())
    throw ArgumentError(weight_name, "rows [" + std::to_string(begin) + ", " + std::to_string(end) + ") of " +
                                         to_string(shape_));
  Index first = 0;  // of the source
  for (const auto& source : sources_) {
    const Index from = std::max(begin, first), to = std::min(end, first + source.shape[0]);
    if (from < to) read_rows(source, row_size_, from - first, to - first, out + (from - begin) * row_size_);
    first += source.shape[0];
  }
}
void Weight::read(Index begin, Index end, float* out) const {
  read_as(begin, end, out);
}
void Weight::read(Index begin, Index end, bfloat16* out) const {
  read_as(begin, end, out);
}

template <class T>
const T* Weight::elements() const noexcept {
  const auto& source = sources_.front();
  const bool fits = sources_.size() == 1 && source.decoder == nullptr && source.dtype == dtype_of<T>() &&
                    reinterpret_cast<std::uintptr_t>(source.bytes.data()) % alignof(T) == 0;
  return fits ? reinterpret_cast<const T*>(source.bytes.data()) : nullptr;
}
template const float* Weight::elements() const noexcept;
template const bfloat16* Weight::elements() const noexcept;

void Weight::release() const noexcept {
  for (const auto& source : sources_)
    if (source.release != nullptr) source.release(source.bytes);
}

}  // namespace daguerre::ops
