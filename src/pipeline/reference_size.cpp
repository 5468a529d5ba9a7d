#include "pipeline/reference_size.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace daguerre {
namespace {

/// From narrow to wide. The table is turned over for the other half.
constexpr std::array<Extent, 9> kontext_sizes{{{1568, 672},
                                               {1504, 688},
                                               {1456, 720},
                                               {1392, 752},
                                               {1328, 800},
                                               {1248, 832},
                                               {1184, 880},
                                               {1104, 944},
                                               {1024, 1024}}};

double proportions(Extent size) {
  return static_cast<double>(size[1]) / static_cast<double>(size[0]);
}

Index rounded_down(Index side, Index multiple) {
  return std::max(multiple, side / multiple * multiple);
}

}  // namespace

Extent reference_size(Extent picture, Index multiple) {
  const double wanted = proportions(picture);
  Extent best = kontext_sizes.front();
  const auto consider = [&](Extent size) {
    if (std::abs(wanted - proportions(size)) < std::abs(wanted - proportions(best))) best = size;
  };
  for (const auto& size : kontext_sizes) consider(size);
  std::for_each(kontext_sizes.rbegin(), kontext_sizes.rend(), [&](const Extent& size) {
    consider({size[1], size[0]});
  });
  return {rounded_down(best[0], multiple), rounded_down(best[1], multiple)};
}

Extent size_like(Extent wanted, Extent area, Index multiple) {
  const auto pixels = static_cast<double>(area[0] * area[1]);
  const double aspect = proportions(wanted);
  const auto side = [&](double length) {
    return rounded_down(static_cast<Index>(std::nearbyint(std::sqrt(length))), multiple);
  };
  return {side(pixels / aspect), side(pixels * aspect)};
}

Extent size_as_trained(Extent picture, Extent trained, Index multiple) {
  const Index side = std::min(trained[0], trained[1]), unit = std::max<Index>(multiple, 8);
  const double longer = std::max(proportions(picture), 1.0 / proportions(picture));
  const auto rounded =
      static_cast<Index>(std::nearbyint(static_cast<double>(side) / static_cast<double>(unit) * longer)) *
      unit;
  const Index other = longer == 1.0 ? side : std::max(side, rounded);
  return picture[1] >= picture[0] ? Extent{side, other} : Extent{other, side};
}

Extent size_beside(const Request::Size& given, const Image& picture, Index multiple, Extent usual) {
  const Extent looked_at{picture.height(), picture.width()};
  if (!given.height && !given.width) return size_like(looked_at, usual, multiple);
  const auto other = [&](Index side, Index own, Index others) {
    const bool possible = side > 0 && side <= Image::max_side;
    return possible ? rounded_down(side * others / own, multiple) : side;
  };
  return {given.height ? *given.height : other(*given.width, looked_at[1], looked_at[0]),
          given.width ? *given.width : other(*given.height, looked_at[0], looked_at[1])};
}

}  // namespace daguerre
