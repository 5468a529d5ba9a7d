#include "daguerre/media/clip_image_processor.hpp"

#include <algorithm>
#include <cmath>

namespace daguerre {
namespace {

/// Where a cut of `crop` begins and ends in a line of `size` with `before` black pixels in front of it.
struct Cut {
  Index before = 0, begin = 0, end = 0;
};

Cut centre_cut(Index size, Index crop, bool padded, ClipImageProcessor::CropOffset offset) {
  const Index difference = size - crop;
  // Rounded down, below zero too.
  Index begin = difference >= 0 ? difference / 2 : -((-difference + 1) / 2), before = 0, whole = size;
  if (offset == ClipImageProcessor::CropOffset::half_even && difference > 0)
    begin += difference % 2 * (begin % 2);
  if (padded) {
    whole = std::max(size, crop);
    before = (whole - size + 1) / 2;  // rounded up, by which an odd difference gives the whole cut
    begin += before;
  }
  return {before, std::max<Index>(0, begin), std::min(whole, begin + crop)};
}

Image centre_cropped(const Image& in, Index height, Index width, ClipImageProcessor::CropOffset offset) {
  const bool padded = height > in.height() || width > in.width();
  const Cut rows = centre_cut(in.height(), height, padded, offset),
            columns = centre_cut(in.width(), width, padded, offset);
  const Index channels = in.channels();
  Image out(columns.end - columns.begin, rows.end - rows.begin, channels);
  for (Index y = 0; y < out.height(); ++y) {
    const Index from_y = y + rows.begin - rows.before;
    if (from_y < 0 || from_y >= in.height()) continue;
    for (Index x = 0; x < out.width(); ++x) {
      const Index from_x = x + columns.begin - columns.before;
      if (from_x < 0 || from_x >= in.width()) continue;
      std::copy_n(in.pixels().data() + (from_y * in.width() + from_x) * channels, channels,
                  out.pixels().data() + (y * out.width() + x) * channels);
    }
  }
  return out;
}

/// The smaller half of the black edges is left and above.
Image whole_in_square(const Image& in, Index side, Resampling resampling) {
  const double scale = static_cast<double>(side) / static_cast<double>(std::max(in.width(), in.height()));
  const auto scaled = [&](Index size) {
    return std::max<Index>(1, static_cast<Index>(std::nearbyint(static_cast<double>(size) * scale)));
  };
  const Image image = in.resized(scaled(in.width()), scaled(in.height()), resampling);
  const Index left = (side - image.width()) / 2, top = (side - image.height()) / 2,
              channels = image.channels();
  Image out(side, side, channels);
  for (Index y = 0; y < image.height(); ++y)
    std::copy_n(image.pixels().data() + y * image.width() * channels, image.width() * channels,
                out.pixels().data() + ((top + y) * side + left) * channels);
  return out;
}

}  // namespace

ClipImageProcessor ClipImageProcessor::openai(Index size) {
  ClipImageProcessor result;
  result.shortest_edge = result.crop_height = result.crop_width = size;
  result.crop_offset = CropOffset::half_even;
  result.converts_last = true;
  return result;
}

ClipImageProcessor ClipImageProcessor::whole_picture(Index size) {
  ClipImageProcessor result;
  result.longest_edge = size;
  result.crop = false;
  result.converts_last = true;
  return result;
}

Image ClipImageProcessor::prepared(const Image& picture) const {
  if (picture.empty()) throw ArgumentError("clip_image_processor", "the picture is empty");
  Image image = converts_last ? picture : picture.to_channels(3);
  if (resize && longest_edge > 0) {
    image = whole_in_square(image, longest_edge, resampling);
  } else if (resize && shortest_edge > 0) {
    const Index shorter = std::min(image.width(), image.height());
    const Index longer = std::max(image.width(), image.height());
    const auto other =
        static_cast<Index>(static_cast<double>(shortest_edge * longer) / static_cast<double>(shorter));
    image = image.width() <= image.height() ? image.resized(shortest_edge, other, resampling)
                                            : image.resized(other, shortest_edge, resampling);
  } else if (resize) {
    image = image.resized(width, height, resampling);
  }
  if (crop) image = centre_cropped(image, crop_height, crop_width, crop_offset);
  return image.to_channels(3);
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
