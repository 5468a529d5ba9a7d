#include "pipeline/tile_axis.hpp"

#include <algorithm>

namespace daguerre {

TileAxis TileAxis::of(Index total, Index tile, Index overlap, Index multiple) {
  if (total <= tile) return {{0}, total};
  const Index stride = std::max(multiple, tile - overlap);
  const Index steps = (total - tile + stride - 1) / stride;
  TileAxis axis{{}, tile};
  for (Index i = 0; i <= steps; ++i) axis.begins.push_back((total - tile) * i / steps / multiple * multiple);
  return axis;
}

std::vector<std::vector<float>> TileAxis::weights(Index total, const Border& border, Index ratio) const {
  const auto ramp = static_cast<double>(std::max<Index>(1, (border.overlap - 2 * border.margin) * ratio));
  const auto rise = [&](Index from_end) {  // of an output that lies so far from the tile's end
    const double u =
        std::clamp((static_cast<double>(from_end - border.margin * ratio) + 0.5) / ramp, 0.0, 1.0);
    return border.smooth ? u * u * (3.0 - 2.0 * u) : u;
  };
  const Index count = size * ratio;
  std::vector<std::vector<double>> raw;
  std::vector<double> sums(static_cast<std::size_t>(total * ratio));
  for (const Index begin : begins) {
    auto& weights = raw.emplace_back(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i) {
      double weight = 1.0;
      if (begin > 0) weight *= rise(i);
      if (begin + size < total) weight *= rise(count - 1 - i);
      weights[static_cast<std::size_t>(i)] = weight;
      sums[static_cast<std::size_t>(begin * ratio + i)] += weight;
    }
  }
  std::vector<std::vector<float>> result;
  for (std::size_t t = 0; t < begins.size(); ++t) {
    auto& weights = result.emplace_back();
    for (Index i = 0; i < count; ++i)
      weights.push_back(static_cast<float>(raw[t][static_cast<std::size_t>(i)] /
                                           sums[static_cast<std::size_t>(begins[t] * ratio + i)]));
  }
  return result;
}

void add_weighted(Tensor<float>& sum, const Tensor<float>& tile, Index top, Index left,
                  const std::vector<float>& rows, const std::vector<float>& columns) {
  const Index height = tile.dim(1), width = tile.dim(2), channels = tile.dim(3);
  const float* from = tile.data();
  float* const all = sum.data();
  for (Index n = 0; n < tile.dim(0); ++n)
    for (Index y = 0; y < height; ++y) {
      float* to = all + ((n * sum.dim(1) + top + y) * sum.dim(2) + left) * channels;
      for (Index x = 0; x < width; ++x) {
        const float weight = rows[static_cast<std::size_t>(y)] * columns[static_cast<std::size_t>(x)];
        for (Index c = 0; c < channels; ++c) *to++ += weight * *from++;
      }
    }
}

}  // namespace daguerre
