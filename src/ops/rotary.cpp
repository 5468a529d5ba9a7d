#include "daguerre/ops/rotary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

namespace daguerre::ops {

Tensor<float> grid_positions(std::span<const std::vector<float>> coordinates) {
  const auto axes = static_cast<Index>(coordinates.size());
  Index length = 1;
  for (const auto& axis : coordinates) length = checked_multiply(length, static_cast<Index>(axis.size()));
  Tensor<float> positions({length, axes});
  Index repeats = length;  // of one coordinate, one behind the other
  for (Index a = 0; a < axes; ++a) {
    const auto& axis = coordinates[static_cast<std::size_t>(a)];
    const auto count = static_cast<Index>(axis.size());
    if (length == 0) break;
    repeats /= count;
    for (Index i = 0; i < length; ++i)
      positions.data()[i * axes + a] = axis[static_cast<std::size_t>(i / repeats % count)];
  }
  return positions;
}

RotaryTable rotary_table(const Tensor<float>& positions, std::span<const Index> axes, double theta,
                         RotaryPairs pairs) {
  constexpr const char* who = "rotary_table";
  if (positions.rank() != 2 || positions.dim(1) != static_cast<Index>(axes.size()))
    throw ArgumentError(who, "positions " + to_string(positions.shape()) + ", expected [L, " +
                                 std::to_string(axes.size()) + "]");
  for (const Index width : axes)
    if (width < 2 || width % 2 != 0)
      throw ArgumentError(who, "an axis of " + std::to_string(width) + " channels has no pairs");

  const Index length = positions.dim(0), half = std::accumulate(axes.begin(), axes.end(), Index{0}) / 2;
  RotaryTable table{Tensor<float>({length, half}), Tensor<float>({length, half}), pairs};
  float *const cosines = table.cosine.data(), *const sines = table.sine.data();
  Index column = 0;
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    const Index count = axes[axis] / 2;
    std::map<float, Index> made;  // positions of a grid come again and again: the token that has them first
    for (Index token = 0; token < length; ++token) {
      const float position = positions.data()[token * positions.dim(1) + static_cast<Index>(axis)];
      float *const cosine = cosines + token * half + column, *const sine = sines + token * half + column;
      const auto [first, is_new] = made.try_emplace(position, token);
      if (!is_new) {
        const Index from = first->second * half + column;
        std::copy_n(cosines + from, count, cosine);
        std::copy_n(sines + from, count, sine);
        continue;
      }
      for (Index i = 0; i < count; ++i) {
        const double angle = static_cast<double>(position) /
                             std::pow(theta, static_cast<double>(2 * i) / static_cast<double>(axes[axis]));
        cosine[i] = static_cast<float>(std::cos(angle));
        sine[i] = static_cast<float>(std::sin(angle));
      }
    }
    column += count;
  }
  return table;
}

RotaryTable learned_rotary_table(const Tensor<float>& positions, const Tensor<float>& frequencies) {
  if (positions.rank() != 2 || frequencies.rank() != 2 || positions.dim(1) != frequencies.dim(0))
    throw ArgumentError("learned_rotary_table", "frequencies " + to_string(frequencies.shape()) +
                                                    " for positions " + to_string(positions.shape()));
  const Index length = positions.dim(0), axes = positions.dim(1), columns = frequencies.dim(1);
  RotaryTable table{Tensor<float>({length, columns}), Tensor<float>({length, columns}),
                    RotaryPairs::neighbours};
  float *cosine = table.cosine.data(), *sine = table.sine.data();
  for (Index token = 0; token < length; ++token)
    for (Index column = 0; column < columns; ++column) {
      double angle = 0.0;
      for (Index axis = 0; axis < axes; ++axis)
        angle += static_cast<double>(positions.data()[token * axes + axis]) *
                 static_cast<double>(frequencies.data()[axis * columns + column]);
      *cosine++ = static_cast<float>(std::cos(angle));
      *sine++ = static_cast<float>(std::sin(angle));
    }
  return table;
}

RotaryTable rotary_table(const Tensor<std::int32_t>& positions, const RotaryFrequencies& frequencies) {
  constexpr const char* who = "rotary_table";
  const auto pairs = static_cast<Index>(frequencies.of_pairs.size());
  std::vector<int> sections = frequencies.sections;
  if (sections.empty()) sections = {static_cast<int>(pairs)};
  const bool fits = positions.rank() == 2 && positions.dim(0) == static_cast<Index>(sections.size()) &&
                    *std::min_element(sections.begin(), sections.end()) >= 0 &&
                    std::accumulate(sections.begin(), sections.end(), Index{0}) == pairs;
  if (!fits)
    throw ArgumentError(who, "positions " + to_string(positions.shape()) + " and " +
                                 std::to_string(sections.size()) + " sections of " + std::to_string(pairs) +
                                 " pairs");
  const Index length = positions.dim(1);
  RotaryTable table{Tensor<float>({length, pairs}), Tensor<float>({length, pairs}), frequencies.pairs};
  float *const cosine = table.cosine.data(), *const sine = table.sine.data();
  for (Index token = 0; token < length; ++token) {
    Index pair = 0;
    for (std::size_t axis = 0; axis < sections.size(); ++axis) {
      const auto position = static_cast<float>(positions.data()[static_cast<Index>(axis) * length + token]);
      for (const Index end = pair + sections[axis]; pair < end; ++pair) {
        const float angle = position * frequencies.of_pairs[static_cast<std::size_t>(pair)];
        cosine[token * pairs + pair] = std::cos(angle) * frequencies.magnitude;
        sine[token * pairs + pair] = std::sin(angle) * frequencies.magnitude;
      }
    }
  }
  return table;
}

Tensor<float> grid_positions(std::span<const Index> extents) {
  std::vector<std::vector<float>> coordinates;
  for (const Index extent : extents) {
    if (extent < 0) throw ArgumentError("grid_positions", "an extent of " + std::to_string(extent));
    coordinates.emplace_back();
    for (Index i = 0; i < extent; ++i) coordinates.back().push_back(static_cast<float>(i));
  }
  return grid_positions(coordinates);
}

}  // namespace daguerre::ops
