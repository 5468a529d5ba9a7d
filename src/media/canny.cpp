#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "daguerre/media/processors.hpp"

namespace daguerre {
namespace {

/// The derivative and the smoothing filter of an aperture.
struct SobelFilters {
  std::array<int, 7> derivative, smoothing;
};

constexpr SobelFilters sobel_filters(int aperture) {
  if (aperture == 3) return {{-1, 0, 1}, {1, 2, 1}};
  if (aperture == 5) return {{-1, -2, 0, 2, 1}, {1, 4, 6, 4, 1}};
  return {{-1, -4, -5, 0, 5, 4, 1}, {1, 6, 15, 20, 15, 6, 1}};
}

/// A pixel's gradient and how large it is.
struct Gradient {
  int x = 0, y = 0, size = 0;
};

/// The gradients of a picture, with a border of zeros. Pixels beyond the picture are those of its border.
class Gradients {
 public:
  Gradients(const Image& image, const CannyOptions& options)
      : stride_(image.width() + 2), values_(static_cast<std::size_t>(stride_ * (image.height() + 2))) {
    const Index width = image.width(), height = image.height(), channels = image.channels();
    const Index radius = options.aperture / 2, row_size = width * channels;
    const auto filters = sobel_filters(options.aperture);
    const auto size = static_cast<std::size_t>(options.aperture);
    // Rows filtered downwards: differences for y, means for x.
    std::vector<int> means(static_cast<std::size_t>(row_size)), differences(means.size());
    for (Index y = 0; y < height; ++y) {
      std::ranges::fill(means, 0);
      std::ranges::fill(differences, 0);
      for (std::size_t k = 0; k < size; ++k) {
        const Index row = std::clamp<Index>(y + static_cast<Index>(k) - radius, 0, height - 1);
        const std::uint8_t* from = image.pixels().data() + row * row_size;
        for (std::size_t i = 0; i < means.size(); ++i) {
          means[i] += filters.smoothing[k] * from[i];
          differences[i] += filters.derivative[k] * from[i];
        }
      }
      for (Index x = 0; x < width; ++x) {
        Gradient largest;
        for (Index c = 0; c < channels; ++c) {
          int along = 0, down = 0;
          for (std::size_t k = 0; k < size; ++k) {
            const Index column = std::clamp<Index>(x + static_cast<Index>(k) - radius, 0, width - 1);
            const auto at = static_cast<std::size_t>(column * channels + c);
            along += filters.derivative[k] * means[at];
            down += filters.smoothing[k] * differences[at];
          }
          const Gradient found = gradient(along, down, options);
          if (c == 0 || found.size > largest.size) largest = found;
        }
        values_[static_cast<std::size_t>((y + 1) * stride_ + x + 1)] = largest;
      }
    }
  }

  Index stride() const noexcept { return stride_; }
  const Gradient& operator[](Index i) const { return values_[static_cast<std::size_t>(i)]; }

 private:
  static Gradient gradient(int x, int y, const CannyOptions& options) {
    if (options.aperture == 7) {  // divided by 16, so that 16 bits hold them; rounded half to even
      x = static_cast<int>(std::nearbyint(x / 16.0));
      y = static_cast<int>(std::nearbyint(y / 16.0));
    }
    return {x, y, options.l2_gradient ? x * x + y * y : std::abs(x) + std::abs(y)};
  }

  Index stride_;
  std::vector<Gradient> values_;
};

/// A threshold in the units of `Gradient::size`.
int canny_threshold(double threshold, const CannyOptions& options) {
  if (options.aperture == 7) threshold /= 16.0;
  if (options.l2_gradient) {
    threshold = std::min(threshold, 32767.0);
    if (threshold > 0.0) threshold *= threshold;
  }
  constexpr double most = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(std::floor(threshold), -most, most));
}

/// Whether the gradient at `i` is larger than those of its neighbours across the edge.
bool is_ridge(const Gradients& gradients, Index i) {
  constexpr int tangent = 13573;  // of 22.5 degrees, times 2^15
  const Gradient& here = gradients[i];
  const int x = std::abs(here.x), y = std::abs(here.y) << 15, low = x * tangent;
  const Index stride = gradients.stride();
  if (y < low) return here.size > gradients[i - 1].size && here.size >= gradients[i + 1].size;
  if (y > low + (x << 16))
    return here.size > gradients[i - stride].size && here.size >= gradients[i + stride].size;
  const Index side = (here.x ^ here.y) < 0 ? -1 : 1;
  return here.size > gradients[i - stride - side].size && here.size > gradients[i + stride + side].size;
}

}  // namespace

Image canny(const Image& image, const CannyOptions& options) {
  if (image.empty()) throw ArgumentError("canny", "an empty picture has no edges");
  if (options.aperture != 3 && options.aperture != 5 && options.aperture != 7)
    throw ArgumentError("canny",
                        "the aperture is " + std::to_string(options.aperture) + ", expected 3, 5 or 7");
  if (!std::isfinite(options.low) || !std::isfinite(options.high))
    throw ArgumentError("canny", "a threshold is not finite");
  const int low = canny_threshold(std::min(options.low, options.high), options);
  const int high = canny_threshold(std::max(options.low, options.high), options);
  const Gradients gradients(image.channels() == 4 ? image.to_channels(3) : image, options);
  const Index stride = gradients.stride();
  enum : std::uint8_t { nothing, perhaps, edge };
  std::vector<std::uint8_t> found(static_cast<std::size_t>(stride * (image.height() + 2)), nothing);
  std::vector<Index> open;
  const auto mark = [&](Index i) {
    found[static_cast<std::size_t>(i)] = edge;
    open.push_back(i);
  };
  for (Index y = 1; y <= image.height(); ++y)
    for (Index i = y * stride + 1; i <= y * stride + image.width(); ++i) {
      const int size = gradients[i].size;
      if (size <= low || !is_ridge(gradients, i)) continue;
      if (size > high)
        mark(i);
      else
        found[static_cast<std::size_t>(i)] = perhaps;
    }
  while (!open.empty()) {
    const Index at = open.back();
    open.pop_back();
    for (const Index down : {-stride, Index{0}, stride})
      for (const Index along : {-1, 0, 1})
        if (found[static_cast<std::size_t>(at + down + along)] == perhaps) mark(at + down + along);
  }
  Image result(image.width(), image.height(), 1);
  std::uint8_t* to = result.pixels().data();
  for (Index y = 1; y <= image.height(); ++y)
    for (Index x = 1; x <= image.width(); ++x)
      *to++ = found[static_cast<std::size_t>(y * stride + x)] == edge ? 255 : 0;
  return result;
}

}  // namespace daguerre
