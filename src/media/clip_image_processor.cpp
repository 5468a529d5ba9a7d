#include "daguerre/media/clip_image_processor.hpp"

#include <algorithm>

namespace daguerre {
namespace {

/// Where a cut of `crop` begins and ends in a line of `size` with `before` black pixels in front of it.
struct Cut {
  Index before = 0, begin = 0, end = 0;
};

Cut centre_cut(Index size, Index crop, bool padded) {
  const Index difference = size - crop;
  // Rounded down, below zero too.
  Index begin = difference >= 0 ? difference / 2 : -((-difference + 1) / 2), before = 0, whole = size;
  if (padded) {
    whole = std::max(size, crop);
    before = (whole - size + 1) / 2;  // rounded up, by which an odd difference gives the whole cut
    begin += before;
  }
  return {before, std::max<Index>(0, begin), std::min(whole, begin + crop)};
}

Image centre_cropped(const Image& in, Index height, Index width) {
  const bool padded = height > in.height() || width > in.width();
  const Cut rows = centre_cut(in.height(), height, padded), columns = centre_cut(in.width(), width, padded);
  Image out(columns.end - columns.begin, rows.end - rows.begin, 3);
  for (Index y = 0; y < out.height(); ++y) {
    const Index from_y = y + rows.begin - rows.before;
    if (from_y < 0 || from_y >= in.height()) continue;
    for (Index x = 0; x < out.width(); ++x) {
      const Index from_x = x + columns.begin - columns.before;
      if (from_x < 0 || from_x >= in.width()) continue;
      std::copy_n(in.pixels().data() + (from_y * in.width() + from_x) * 3, 3,
                  out.pixels().data() + (y * out.width() + x) * 3);
    }
  }
  return out;
}

}  // namespace

Image ClipImageProcessor::prepared(const Image& picture) const {
  if (picture.empty()) throw ArgumentError("clip_image_processor", "the picture is empty");
  Image image = picture.to_channels(3);
  if (resize && shortest_edge > 0) {
    const Index shorter = std::min(image.width(), image.height());
    const Index longer = std::max(image.width(), image.height());
    const auto other =
        static_cast<Index>(static_cast<double>(shortest_edge * longer) / static_cast<double>(shorter));
    image = image.width() <= image.height() ? image.resized(shortest_edge, other, resampling)
                                            : image.resized(other, shortest_edge, resampling);
  } else if (resize) {
    image = image.resized(width, height, resampling);
  }
  return crop ? centre_cropped(image, crop_height, crop_width) : image;
}

Tensor<float> ClipImageProcessor::operator()(const Image& picture) const {
  const Image image = prepared(picture);
  Tensor<float> result({1, image.height(), image.width(), 3});
  const auto pixels = image.pixels();
  float* const out = result.data();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    // In double, then rounded, as numpy multiplies bytes by a Python number.
    float value = rescale ? static_cast<float>(static_cast<double>(pixels[i]) * rescale_factor)
                          : static_cast<float>(pixels[i]);
    if (normalise) value = (value - mean[i % 3]) / deviation[i % 3];
    out[i] = value;
  }
  return result;
}

Tensor<float> ClipImageProcessor::normalised(const Tensor<float>& values) const {
  if (values.rank() != 4 || values.dim(3) != 3)
    throw ArgumentError("clip_image_processor", to_string(values.shape()) + ", expected [N, H, W, 3]");
  if (!normalise) return values;
  Tensor<float> result(values.shape());
  float* const out = result.data();
  for (Index i = 0; i < values.size(); ++i) {
    const auto c = static_cast<std::size_t>(i % 3);
    out[i] = (values.data()[i] - mean[c]) / deviation[c];
  }
  return result;
}

}  // namespace daguerre
