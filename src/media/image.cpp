#include "daguerre/media/image.hpp"

#include <algorithm>
#include <array>
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

Image Image::over(std::uint8_t red, std::uint8_t green, std::uint8_t blue) const {
  if (channels_ != 4) return *this;
  Image result(width_, height_, 3);
  const std::array<unsigned, 3> colour{red, green, blue};
  bool is_grey = true;
  for (std::size_t in = 0, out = 0; in < pixels_.size(); in += 4, out += 3) {
    const unsigned alpha = pixels_[in + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned sum = colour[c] * (255 - alpha) + pixels_[in + c] * alpha + 128;
      result.pixels_[out + c] = static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8);
    }
    is_grey = is_grey && result.pixels_[out] == result.pixels_[out + 1] &&
              result.pixels_[out] == result.pixels_[out + 2];
  }
  return is_grey ? result.to_channels(1) : result;
}

Image Image::cropped(Index left, Index top, Index width, Index height) const {
  if (left < 0 || top < 0 || width < 1 || height < 1 || left > width_ - width || top > height_ - height)
    throw ArgumentError("image", size_text(width, height) + " pixels from (" + std::to_string(left) + ", " +
                                     std::to_string(top) + ") on are not inside of " +
                                     size_text(width_, height_));
  Image result(width, height, channels_);
  for (Index y = 0; y < height; ++y)
    std::copy_n(pixels_.data() + ((top + y) * width_ + left) * channels_, width * channels_,
                result.pixels_.data() + y * width * channels_);
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
