#include "daguerre/media/image.hpp"

#include <algorithm>
#include <cmath>

#include "media/picture_file.hpp"

namespace daguerre {
namespace {

std::string size_text(Index width, Index height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

// ITU-R 601-2 luma in 16-bit fixed point, as PIL computes it.
std::uint8_t luma(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

}  // namespace

Image::Image(Index width, Index height, Index channels)
    : width_(width), height_(height), channels_(channels) {
  if (!is_permitted(width, height))
    throw ArgumentError("image",
                        "a picture of " + size_text(width, height) + " was asked for, " + limit_text());
  if (channels != 1 && channels != 3 && channels != 4)
    throw ArgumentError("image", "expected 1, 3 or 4 channels, found " + std::to_string(channels));
  pixels_.resize(static_cast<std::size_t>(width * height * channels));
}

Image Image::to_channels(Index channels) const {
  if (channels == channels_) return *this;
  Image result(width_, height_, channels);
  const std::uint8_t* in = pixels_.data();
  std::uint8_t* out = result.pixels_.data();
  for (Index i = 0; i < width_ * height_; ++i, in += channels_, out += channels) {
    if (channels == 1) {
      out[0] = luma(in);
      continue;
    }
    for (Index c = 0; c < 3; ++c) out[c] = channels_ == 1 ? in[0] : in[c];
    if (channels == 4) out[3] = 255;
  }
  return result;
}

Tensor<float> to_unit_tensor(const Image& image) {
  Tensor<float> result({1, image.height(), image.width(), image.channels()});
  std::ranges::transform(image.pixels(), result.data(),
                         [](std::uint8_t value) { return static_cast<float>(value) / 255.0f; });
  return result;
}

Tensor<float> to_tensor(const Image& image) {
  Tensor<float> result = to_unit_tensor(image);
  for (float& value : result.span()) value = 2.0f * value - 1.0f;
  return result;
}

Tensor<float> picture_input(const Image& picture, Index width, Index height) {
  return to_tensor(picture.to_channels(3).resized(width, height));
}

Tensor<float> mask_input(const Image& mask, Index width, Index height) {
  const Image colours = mask.channels() == 1 ? mask : mask.to_channels(3);
  Tensor<float> result = to_unit_tensor(colours.resized(width, height).to_channels(1));
  for (float& value : result.span()) value = value >= 0.5f ? 1.0f : 0.0f;
  return result;
}

Tensor<float> denormalise(const Tensor<float>& decoded) {
  Tensor<float> result(decoded.shape());
  std::ranges::transform(decoded.span(), result.data(), [](float value) {
    if (!std::isfinite(value)) throw NumericError("image", "the decoded picture holds NaN or infinity");
    return std::clamp(value / 2.0f + 0.5f, 0.0f, 1.0f);
  });
  return result;
}

Image to_image(const Tensor<float>& decoded, Index n) {
  if (decoded.rank() != 4)
    throw ArgumentError("to_image", "expected [N, H, W, C], found " + to_string(decoded.shape()));
  const Tensor<float> values = denormalise(decoded.slice(n, n + 1));
  Image image(decoded.dim(2), decoded.dim(1), decoded.dim(3));
  std::ranges::transform(values.span(), image.pixels().begin(), [](float value) {
    return static_cast<std::uint8_t>(std::nearbyint(value * 255.0f));
  });
  return image;
}

}  // namespace daguerre
