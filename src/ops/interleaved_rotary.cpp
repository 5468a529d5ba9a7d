#include "daguerre/ops/interleaved_rotary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <vector>

namespace daguerre::ops {
namespace {

/// theta^(i / (count - 1)) pi / 2, rounded at each step as torch does.
std::vector<float> quarter_turns(Index count, float theta) {
  std::vector<float> result;
  const float step = 1.0f / static_cast<float>(std::max<Index>(count - 1, 1));
  for (Index i = 0; i < count; ++i) {
    const float exponent = i < count / 2 || count == 1 ? step * static_cast<float>(i)
                                                       : 1.0f - step * static_cast<float>(count - 1 - i);
    const auto power =
        static_cast<float>(std::pow(static_cast<double>(theta), static_cast<double>(exponent)));
    result.push_back(power * std::numbers::pi_v<float> / 2.0f);
  }
  return result;
}

}  // namespace

Tensor<float> grid_positions(const Shape& grid, std::span<const float> scale) {
  const auto axes = static_cast<Index>(scale.size());
  if (axes != grid.rank())
    throw ArgumentError("grid_positions", std::to_string(axes) + " scales for a grid " + to_string(grid));
  std::vector<std::vector<float>> coordinates(scale.size());
  for (std::size_t axis = 0; axis < scale.size(); ++axis)
    for (Index i = 0; i < grid[static_cast<int>(axis)]; ++i)
      coordinates[axis].push_back(static_cast<float>(i) * scale[axis]);
  return grid_positions(coordinates);
}

RotaryTable interleaved_rotary_table(const Tensor<float>& positions, std::span<const float> extents,
                                     Index width, float theta) {
  constexpr const char* who = "interleaved_rotary_table";
  if (positions.rank() != 2 || extents.empty() || positions.dim(1) != static_cast<Index>(extents.size()))
    throw ArgumentError(who, "positions " + to_string(positions.shape()) + ", expected [L, " +
                                 std::to_string(extents.size()) + "]");
  const Index length = positions.dim(0), axes = positions.dim(1), half = width / 2;
  const Index count = width / (2 * axes), left_over = half - count * axes;
  if (width % 2 != 0 || count < 1)
    throw ArgumentError(
        who, std::to_string(width) + " channels are not pairs for each of " + std::to_string(axes) + " axes");

  const auto frequencies = quarter_turns(count, theta);
  RotaryTable table{Tensor<float>({length, half}), Tensor<float>({length, half}), RotaryPairs::neighbours};
  float *const cosines = table.cosine.data(), *const sines = table.sine.data();
  for (Index token = 0; token < length; ++token) {
    std::fill_n(cosines + token * half, left_over, 1.0f);
    std::fill_n(sines + token * half, left_over, 0.0f);
  }
  for (Index axis = 0; axis < axes; ++axis) {
    std::map<float, Index> made;  // positions of a grid come again and again: the token that has them first
    for (Index token = 0; token < length; ++token) {
      const float position = positions.span()[static_cast<std::size_t>(token * axes + axis)] /
                             extents[static_cast<std::size_t>(axis)];
      const Index place = token * half + left_over + axis;
      const auto [first, is_new] = made.try_emplace(position, token);
      const Index from = first->second * half + left_over + axis;
      for (Index i = 0; i < count; ++i) {
        if (is_new) {
          const float angle = frequencies[static_cast<std::size_t>(i)] * (position * 2.0f - 1.0f);
          cosines[place + i * axes] = static_cast<float>(std::cos(static_cast<double>(angle)));
          sines[place + i * axes] = static_cast<float>(std::sin(static_cast<double>(angle)));
        } else {
          cosines[place + i * axes] = cosines[from + i * axes];
          sines[place + i * axes] = sines[from + i * axes];
        }
      }
    }
  }
  return table;
}

}  // namespace daguerre::ops
