#include "pipeline/picture_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "daguerre/core/error.hpp"

namespace daguerre {

TileSpan TileSpan::scaled(Index factor) const noexcept {
  return {begin * factor,  end * factor,       in_begin * factor,
          in_end * factor, out_begin * factor, out_end * factor};
}

float TileSpan::weight(Index i) const noexcept {
  const auto risen = [i](Index from, Index to) {
    if (i < from) return 0.0f;
    if (i >= to) return 1.0f;
    return (static_cast<float>(i - from) + 0.5f) / static_cast<float>(to - from);
  };
  const float in = in_begin == begin && in_end == begin ? 1.0f : risen(in_begin, in_end);
  const float out = out_begin == end && out_end == end ? 0.0f : risen(out_begin, out_end);
  return std::min(in, 1.0f - out);
}

void check_tiling(const char* who, Index tile, Index overlap, Index multiple) {
  if (tile < 0 || overlap < 0 || (tile > 0 && (overlap > tile / 4 || tile < 16 || tile % multiple != 0)))
    throw ArgumentError(who, "tiles of " + std::to_string(tile) + " pixels that share " +
                                 std::to_string(overlap) + ": expected 0 or at least 16" +
                                 (multiple > 1 ? ", a multiple of " + std::to_string(multiple) : "") +
                                 ", and an overlap of at most a quarter of a tile");
}

std::vector<TileSpan> tile_spans(Index size, Index tile, Index overlap, Index multiple) {
  if (tile == 0 || tile >= size) return {{0, size, 0, 0, size, size}};
  // Evenly spread, so that none is small: what is left over would cost nearly as much as a whole one.
  const Index count = (size - overlap + tile - overlap - 1) / (tile - overlap);
  std::vector<TileSpan> spans;
  for (Index i = 0; i < count; ++i) {
    const Index begin = (size - tile) * i / (count - 1) / multiple * multiple;
    const Index end = i + 1 == count ? size : begin + tile;
    spans.push_back({begin, end, begin, begin, end, end});
  }
  for (std::size_t i = 1; i < spans.size(); ++i) {
    const Index shared = spans[i - 1].end - spans[i].begin;
    const Index fade_begin = spans[i].begin + shared / 4, fade_end = spans[i - 1].end - shared / 4;
    spans[i].in_begin = spans[i - 1].out_begin = fade_begin;
    spans[i].in_end = spans[i - 1].out_end = fade_end;
  }
  return spans;
}

TileJoiner::TileJoiner(Index width, Index height, Index channels) : image_(width, height, channels) {}

void TileJoiner::add(const Tensor<float>& tile, const TileSpan& column, const TileSpan& row) {
  const Index channels = image_.channels(), row_size = image_.width() * channels;
  if (tile.rank() != 4 || tile.dim(0) != 1 || tile.dim(1) < row.size() || tile.dim(2) < column.size() ||
      tile.dim(3) != channels)
    throw ArgumentError("upscaler", "the network made " + to_string(tile.shape()) + " of a tile");
  sums_.resize(static_cast<std::size_t>((row.end - first_) * row_size), 0.0f);
  std::vector<float> across;
  for (Index x = column.begin; x < column.end; ++x) across.push_back(column.weight(x));
  for (Index y = row.begin; y < row.end; ++y) {
    const float down = row.weight(y);
    if (down == 0.0f) continue;
    const float* from = tile.data() + (y - row.begin) * tile.dim(2) * channels;
    float* to = sums_.data() + (y - first_) * row_size + column.begin * channels;
    for (const float weight : across)
      for (Index c = 0; c < channels; ++c, ++from, ++to) {
        if (!std::isfinite(*from)) throw NumericError("upscaler", "the network computes NaN or infinity");
        *to += weight * down * std::clamp(*from, 0.0f, 1.0f);
      }
  }
}

void TileJoiner::end_row(const TileSpan& row) {
  // The next row of tiles adds to what lies behind.
  const Index row_size = image_.width() * image_.channels(), end = std::min(row.out_begin, row.end);
  const auto count = static_cast<std::size_t>((end - first_) * row_size);
  std::transform(sums_.begin(), sums_.begin() + static_cast<std::ptrdiff_t>(count),
                 image_.pixels().begin() + first_ * row_size, [](float value) {
                   return static_cast<std::uint8_t>(std::nearbyint(std::min(value, 1.0f) * 255.0f));
                 });
  sums_.erase(sums_.begin(), sums_.begin() + static_cast<std::ptrdiff_t>(count));
  first_ = end;
}

}  // namespace daguerre
