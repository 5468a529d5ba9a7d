#include "daguerre/media/filter.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace daguerre {
namespace {

constexpr double most_blur = 1000.0;
constexpr Index most_growth = 4096;

void check_picture(const Image& image, const char* what) {
  if (image.empty()) throw ArgumentError("image", std::string("an empty picture cannot be ") + what);
}

/// Calls `line(pixels, count, step)` for each row of each channel, or for each column.
template <class Line>
void for_each_line(Image& image, bool columns, const Line& line) {
  const Index width = image.width(), height = image.height(), channels = image.channels();
  std::uint8_t* const pixels = image.pixels().data();
  const Index lines = columns ? width : height, count = columns ? height : width;
  const Index next_line = columns ? channels : width * channels, step = columns ? width * channels : channels;
  for (Index i = 0; i < lines; ++i)
    for (Index c = 0; c < channels; ++c) line(pixels + i * next_line + c, count, step);
}

/// The half width of the box that, applied so many times, has that standard deviation (Gwosdek et al. 2011,
/// eq. 7, 11 and 14), in Pillow's mixture of float and double.
float box_radius(float radius, int passes) {
  const float variance = radius * radius / static_cast<float>(passes);
  const float length = static_cast<float>(std::sqrt(12.0 * static_cast<double>(variance) + 1.0));
  const float whole = static_cast<float>(std::floor((static_cast<double>(length) - 1.0) / 2.0));
  float part = (2.0f * whole + 1.0f) * (whole * (whole + 1.0f) - 3.0f * variance);
  part /= 6.0f * (variance - (whole + 1.0f) * (whole + 1.0f));
  return whole + part;
}

/// Pillow's box blur of a line, in 8.24 fixed point: whole pixels weigh `full`, the two beyond them `rest`.
void box_blur_line(std::uint8_t* line, Index count, Index step, Index reach, std::uint32_t full,
                   std::uint32_t rest, std::vector<std::uint8_t>& copy) {
  copy.resize(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i) copy[static_cast<std::size_t>(i)] = line[i * step];
  const auto at = [&](Index i) {
    return std::uint32_t{copy[static_cast<std::size_t>(std::clamp<Index>(i, 0, count - 1))]};
  };
  std::uint32_t sum = 0;
  for (Index i = -reach - 1; i < reach; ++i) sum += at(i);  // around the pixel before the first
  for (Index i = 0; i < count; ++i) {
    sum += at(i + reach) - at(i - reach - 1);
    const std::uint32_t value = sum * full + (at(i - reach - 1) + at(i + reach + 1)) * rest;
    line[i * step] = static_cast<std::uint8_t>((value + (1u << 23)) >> 24);
  }
}

/// The greatest of each window of a line; `values` with its bits turned for the least.
void greatest_of_line(std::uint8_t* line, Index count, Index step, Index reach, std::uint8_t turn,
                      std::vector<std::uint8_t>& copy, std::vector<Index>& queue) {
  copy.resize(static_cast<std::size_t>(count));
  queue.resize(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i)
    copy[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(line[i * step] ^ turn);
  const auto at = [&](Index i) { return copy[static_cast<std::size_t>(i)]; };
  const auto place = [&](Index i) -> Index& { return queue[static_cast<std::size_t>(i)]; };
  Index begin = 0, end = 0;  // places whose values fall, of which the first is the window's greatest
  for (Index i = 0, next = 0; i < count; ++i) {
    for (; next < std::min(count, i + reach + 1); ++next) {
      while (end > begin && at(place(end - 1)) <= at(next)) --end;
      place(end++) = next;
    }
    while (place(begin) < i - reach) ++begin;
    line[i * step] = static_cast<std::uint8_t>(at(place(begin)) ^ turn);
  }
}

}  // namespace

Image gaussian_blur(const Image& image, double radius) {
  check_picture(image, "blurred");
  if (!(radius >= 0.0 && radius <= most_blur))
    throw ArgumentError("image", "a blur of " + std::to_string(radius) + " pixels, expected 0 to 1000");
  Image result = image;
  constexpr int passes = 3;
  const float wide = box_radius(static_cast<float>(radius), passes);
  if (!(wide > 0.0f)) return result;
  const auto reach = static_cast<Index>(wide);
  const auto full = static_cast<std::uint32_t>(16777216.0f / (wide * 2.0f + 1.0f));
  const std::uint32_t rest = ((1u << 24) - static_cast<std::uint32_t>(reach * 2 + 1) * full) / 2;
  std::vector<std::uint8_t> copy;
  for (const bool columns : {false, true})
    for_each_line(result, columns, [&](std::uint8_t* line, Index count, Index step) {
      for (int pass = 0; pass < passes; ++pass) box_blur_line(line, count, step, reach, full, rest, copy);
    });
  return result;
}

Image grown(const Image& image, Index radius) {
  check_picture(image, "grown");
  if (radius < -most_growth || radius > most_growth)
    throw ArgumentError("image", "growth by " + std::to_string(radius) + " pixels, expected -4096 to 4096");
  Image result = image;
  if (radius == 0) return result;
  const auto turn = static_cast<std::uint8_t>(radius < 0 ? 0xff : 0);
  std::vector<std::uint8_t> copy;
  std::vector<Index> queue;
  for (const bool columns : {false, true})
    for_each_line(result, columns, [&](std::uint8_t* line, Index count, Index step) {
      greatest_of_line(line, count, step, std::abs(radius), turn, copy, queue);
    });
  return result;
}

Image composite(const Image& above, const Image& below, const Image& mask) {
  const bool fits = above.width() == below.width() && above.height() == below.height() &&
                    mask.width() == above.width() && mask.height() == above.height() &&
                    above.channels() == below.channels() && mask.channels() == 1;
  if (!fits || above.empty())
    throw ArgumentError("image", "two pictures of one size and a grey mask of the same are needed");
  Image result = above;
  const auto channels = static_cast<std::size_t>(above.channels());
  const auto out = result.pixels();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned m = mask.pixels()[i / channels];
    const unsigned mixed = below.pixels()[i] * (255 - m) + above.pixels()[i] * m + 128;
    out[i] = static_cast<std::uint8_t>(((mixed >> 8) + mixed) >> 8);
  }
  return result;
}

Image cut_out(const Image& image, Index left, Index top, Index width, Index height) {
  check_picture(image, "cut");
  Image result(width, height, image.channels());
  const Index channels = image.channels();
  std::uint8_t* to = result.pixels().data();
  for (Index y = 0; y < height; ++y) {
    const Index row = std::clamp<Index>(top + y, 0, image.height() - 1);
    for (Index x = 0; x < width; ++x) {
      const Index column = std::clamp<Index>(left + x, 0, image.width() - 1);
      to = std::copy_n(image.pixels().data() + (row * image.width() + column) * channels, channels, to);
    }
  }
  return result;
}

}  // namespace daguerre
