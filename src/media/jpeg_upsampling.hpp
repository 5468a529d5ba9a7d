#pragma once

#include <cstdint>
#include <vector>

#include "media/jpeg_scan.hpp"

namespace daguerre {

/// A colour's rows at the size of the picture. Where another colour has twice as many samples along a side,
/// those in between are 3/4 of the nearer one and 1/4 of the other, as libjpeg's "fancy" up-sampling computes
/// it; other ratios repeat samples.
class JpegUpsampling {
 public:
  /// Keeps a reference to the component.
  JpegUpsampling(const JpegFrame& frame, const JpegComponent& component);

  /// `width` samples of row `y`, valid until the next call.
  const std::uint8_t* row(Index y);

 private:
  const std::uint8_t* stored(Index row) const {
    return component_.samples.data() + row * component_.columns * 8;
  }
  /// The row of the component that is the other neighbour of row `y`.
  Index neighbour(Index y) const;

  const JpegComponent& component_;
  Index across_, down_;  ///< how many pixels a sample stands for
  bool smooth_;
  std::vector<std::uint8_t> row_;
  std::vector<int> sums_;
};

}  // namespace daguerre
