#include "media/jpeg_upsampling.hpp"

#include <algorithm>

namespace daguerre {
namespace {

/// Twice as many values as `in` has, times 4; the ends times 4 as they are. `in` has two at least. Halves go
/// down at the left and up at the right of a value, so that they do not add up.
void double_across(const std::vector<int>& in, int scale, int left_bias, int right_bias, std::uint8_t* out) {
  const std::size_t last = in.size() - 1;
  const auto write = [&](std::size_t i, int value) { out[i] = static_cast<std::uint8_t>(value / scale); };
  for (std::size_t i = 0; i <= last; ++i) {
    write(2 * i, 3 * in[i] + in[i > 0 ? i - 1 : i] + left_bias);
    write(2 * i + 1, 3 * in[i] + in[i < last ? i + 1 : i] + right_bias);
  }
}

}  // namespace

JpegUpsampling::JpegUpsampling(const JpegFrame& frame, const JpegComponent& component)
    : component_(component), across_(frame.h / component.h), down_(frame.v / component.v) {
  const bool doubles_across = across_ == 2 && down_ <= 2 && component.width > 2;
  const bool doubles_down = across_ == 1 && down_ == 2;
  smooth_ = doubles_across || doubles_down;
  row_.resize(static_cast<std::size_t>(component.columns * 8 * across_));
  if (smooth_) sums_.resize(static_cast<std::size_t>(component.width));
}

Index JpegUpsampling::neighbour(Index y) const {
  return std::clamp<Index>(y % 2 == 0 ? y / 2 - 1 : y / 2 + 1, 0, component_.height - 1);
}

const std::uint8_t* JpegUpsampling::row(Index y) {
  const std::uint8_t* near = stored(y / down_);
  if (across_ == 1 && down_ == 1) return near;
  if (!smooth_) {
    for (Index x = 0; x < component_.width; ++x) std::fill_n(row_.begin() + x * across_, across_, near[x]);
    return row_.data();
  }
  if (down_ == 1) {
    std::copy_n(near, sums_.size(), sums_.begin());
    double_across(sums_, 4, 1, 2, row_.data());
    return row_.data();
  }
  const std::uint8_t* other = stored(neighbour(y));
  for (std::size_t x = 0; x < sums_.size(); ++x) sums_[x] = 3 * near[x] + other[x];
  if (across_ == 2) {
    double_across(sums_, 16, 8, 7, row_.data());
  } else {
    const int bias = y % 2 == 0 ? 1 : 2;
    std::ranges::transform(sums_, row_.begin(),
                           [&](int sum) { return static_cast<std::uint8_t>((sum + bias) / 4); });
  }
  return row_.data();
}

}  // namespace daguerre
