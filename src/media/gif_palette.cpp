#include "media/gif_palette.hpp"

#include <algorithm>
#include <cmath>

namespace daguerre {
namespace {

constexpr std::size_t most_colours = 256;
constexpr int kept_bits = 5;  // of each channel, where colours are counted
constexpr int looked_up_bits = 6;

std::uint32_t packed(const std::uint8_t* rgb) {
  return static_cast<std::uint32_t>(rgb[0]) << 16 | static_cast<std::uint32_t>(rgb[1]) << 8 | rgb[2];
}

/// The frame's colours, sorted; nothing where there are more than a palette has.
std::optional<std::vector<std::uint32_t>> few_colours(const Image& frame) {
  std::vector<std::uint32_t> found;
  std::uint32_t last = ~0u;
  for (const std::uint8_t* p = frame.pixels().data(); p != frame.pixels().data() + frame.pixels().size();
       p += 3) {
    const std::uint32_t colour = packed(p);
    if (colour == last) continue;
    last = colour;
    const auto at = std::ranges::lower_bound(found, colour);
    if (at != found.end() && *at == colour) continue;
    if (found.size() == most_colours) return std::nullopt;
    found.insert(at, colour);
  }
  return found;
}

/// Pixels of about one colour.
struct ColourBin {
  std::array<std::uint8_t, 3> cell{};  ///< the colour's upper bits
  std::uint64_t count = 0;
  std::array<std::uint64_t, 3> sums{};
};

/// A part of the bins, which becomes one colour.
struct ColourBox {
  std::size_t first = 0, last = 0;
  int axis = 0;        ///< along which it reaches farthest
  double error = 0.0;  ///< squared distances along it, over all pixels

  ColourBox(const std::vector<ColourBin>& bins, std::size_t from, std::size_t to) : first(from), last(to) {
    for (int c = 0; c < 3; ++c) {
      double count = 0.0, sum = 0.0, squares = 0.0;
      for (std::size_t i = first; i < last; ++i) {
        const auto weight = static_cast<double>(bins[i].count);
        const double value = bins[i].cell[static_cast<std::size_t>(c)];
        count += weight;
        sum += weight * value;
        squares += weight * value * value;
      }
      const double found = squares - sum * sum / count;
      if (found > error) {
        error = found;
        axis = c;
      }
    }
  }
};

std::vector<ColourBin> colour_bins(const Image& frame) {
  std::vector<ColourBin> all(std::size_t{1} << 3 * kept_bits);
  const auto pixels = frame.pixels();
  for (std::size_t i = 0; i < pixels.size(); i += 3) {
    std::size_t at = 0;
    for (std::size_t c = 0; c < 3; ++c)
      at = at << kept_bits | static_cast<std::size_t>(pixels[i + c] >> (8 - kept_bits));
    auto& bin = all[at];
    ++bin.count;
    for (std::size_t c = 0; c < 3; ++c) {
      bin.cell[c] = static_cast<std::uint8_t>(pixels[i + c] >> (8 - kept_bits));
      bin.sums[c] += pixels[i + c];
    }
  }
  std::erase_if(all, [](const ColourBin& bin) { return bin.count == 0; });
  return all;
}

/// 0 to 63, each once, neighbours far from one another.
constexpr auto bayer = [] {
  std::array<std::array<int, 8>, 8> matrix{};
  for (unsigned y = 0; y < 8; ++y)
    for (unsigned x = 0; x < 8; ++x) {
      unsigned value = 0;
      for (unsigned bit = 0; bit < 3; ++bit) {
        const unsigned a = (x ^ y) >> bit & 1, b = y >> bit & 1;
        value = value << 2 | a << 1 | b;
      }
      matrix[y][x] = static_cast<int>(value);
    }
  return matrix;
}();

}  // namespace

GifPalette::GifPalette(const Image& frame) {
  if (const auto few = few_colours(frame)) {
    for (const std::uint32_t colour : *few)
      colours_.push_back({static_cast<std::uint8_t>(colour >> 16), static_cast<std::uint8_t>(colour >> 8),
                          static_cast<std::uint8_t>(colour)});
  } else {
    cut(frame);
  }
  for (std::size_t i = 0; i < colours_.size(); ++i)
    sorted_.push_back(packed(colours_[i].data()) << 8 | static_cast<std::uint32_t>(i));
  std::ranges::sort(sorted_);
  while (colours_.size() > std::size_t{1} << bits_) ++bits_;
}

void GifPalette::cut(const Image& frame) {
  auto bins = colour_bins(frame);
  std::vector<ColourBox> boxes{{bins, 0, bins.size()}};
  while (boxes.size() < most_colours) {
    const auto worst = std::ranges::max_element(boxes, {}, &ColourBox::error);
    if (worst->error <= 0.0) break;
    const ColourBox box = *worst;
    const auto begin = bins.begin() + static_cast<std::ptrdiff_t>(box.first);
    const auto end = bins.begin() + static_cast<std::ptrdiff_t>(box.last);
    const auto axis = static_cast<std::size_t>(box.axis);
    std::sort(begin, end,
              [&](const ColourBin& a, const ColourBin& b) { return a.cell[axis] < b.cell[axis]; });
    std::uint64_t all = 0, below = 0;
    for (auto bin = begin; bin != end; ++bin) all += bin->count;
    std::size_t half = box.first;
    while (half + 1 < box.last && (half == box.first || 2 * (below + bins[half].count) <= all))
      below += bins[half++].count;
    *worst = ColourBox(bins, box.first, half);
    boxes.emplace_back(bins, half, box.last);
  }
  double distance = 0.0;
  for (const auto& box : boxes) {
    std::uint64_t count = 0;
    std::array<std::uint64_t, 3> sums{};
    for (std::size_t i = box.first; i < box.last; ++i) {
      count += bins[i].count;
      for (std::size_t c = 0; c < 3; ++c) sums[c] += bins[i].sums[c];
    }
    std::array<std::uint8_t, 3> mean{};
    for (std::size_t c = 0; c < 3; ++c) mean[c] = static_cast<std::uint8_t>((sums[c] + count / 2) / count);
    colours_.push_back(mean);
  }
  // As far as it is from a colour to the next, on average.
  for (std::size_t i = 0; i < colours_.size(); ++i) {
    int least = 3 * 255 * 255;
    for (std::size_t j = 0; j < colours_.size(); ++j) {
      int squared = 0;
      for (std::size_t c = 0; c < 3; ++c)
        squared += (colours_[i][c] - colours_[j][c]) * (colours_[i][c] - colours_[j][c]);
      if (i != j) least = std::min(least, squared);
    }
    distance += std::sqrt(least / 3.0);
  }
  spread_ = std::min(32, static_cast<int>(distance / static_cast<double>(colours_.size())));
}

std::optional<std::vector<std::uint8_t>> GifPalette::exact_indices(const Image& frame) const {
  std::vector<std::uint8_t> result;
  const auto pixels = frame.pixels();
  result.reserve(pixels.size() / 3);
  std::uint32_t last = ~0u;
  for (std::size_t i = 0; i < pixels.size(); i += 3) {
    const std::uint32_t colour = packed(&pixels[i]);
    if (colour == last) {
      result.push_back(result.back());
      continue;
    }
    last = colour;
    const auto at = std::ranges::lower_bound(sorted_, colour << 8);
    if (at == sorted_.end() || *at >> 8 != colour) return std::nullopt;
    result.push_back(static_cast<std::uint8_t>(*at & 0xFF));
  }
  return result;
}

std::size_t GifPalette::nearest(int red, int green, int blue) const {
  std::size_t best = 0;
  int least = 1 << 30;
  for (std::size_t i = 0; i < colours_.size(); ++i) {
    const int r = colours_[i][0] - red, g = colours_[i][1] - green, b = colours_[i][2] - blue;
    const int squared = r * r + g * g + b * b;
    if (squared >= least) continue;
    least = squared;
    best = i;
  }
  return best;
}

std::vector<std::uint8_t> GifPalette::indices(const Image& frame) const {
  if (auto exact = exact_indices(frame)) return *std::move(exact);
  constexpr int lost = 8 - looked_up_bits;
  std::vector<std::int16_t> known(std::size_t{1} << 3 * looked_up_bits, -1);
  std::vector<std::uint8_t> result(frame.pixels().size() / 3);
  for (Index y = 0; y < frame.height(); ++y)
    for (Index x = 0; x < frame.width(); ++x) {
      const auto n = static_cast<std::size_t>(y * frame.width() + x);
      const std::uint8_t* rgb = frame.pixels().data() + 3 * n;
      const int shift =
          (2 * bayer[static_cast<std::size_t>(y % 8)][static_cast<std::size_t>(x % 8)] - 63) * spread_ / 128;
      std::array<int, 3> moved{};
      for (std::size_t c = 0; c < 3; ++c) moved[c] = std::clamp(rgb[c] + shift, 0, 255) >> lost;
      auto& found = known[static_cast<std::size_t>((moved[0] << looked_up_bits | moved[1]) << looked_up_bits |
                                                   moved[2])];
      if (found < 0) {
        constexpr int middle = (1 << lost) / 2;
        found = static_cast<std::int16_t>(
            nearest((moved[0] << lost) + middle, (moved[1] << lost) + middle, (moved[2] << lost) + middle));
      }
      result[n] = static_cast<std::uint8_t>(found);
    }
  return result;
}

std::string GifPalette::table() const {
  std::string text;
  for (const auto& colour : colours_)
    for (const std::uint8_t channel : colour) text += static_cast<char>(channel);
  text.resize((std::size_t{3} << bits_), '\0');
  return text;
}

}  // namespace daguerre
