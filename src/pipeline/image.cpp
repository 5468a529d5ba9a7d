#include "daguerre/pipeline/image.hpp"

#include <algorithm>
#include <cmath>

#include "files.hpp"
#include "pipeline/stb.hpp"

namespace daguerre {
namespace {

constexpr std::uintmax_t file_limit = std::uintmax_t{256} << 20;

std::string size_text(Index width, Index height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

std::string limit_text() {
  return "the limit is " + std::to_string(Image::max_side) + " a side and " +
         std::to_string(Image::max_pixels >> 20) + " Mi pixels";
}

bool is_permitted(Index width, Index height) {
  return width > 0 && height > 0 && width <= Image::max_side && height <= Image::max_side &&
         width * height <= Image::max_pixels;
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

Image Image::load(const std::filesystem::path& path) {
  return decode(read_file("image", path, file_limit), path.string());
}

Image Image::decode(std::span<const std::byte> file, std::string_view name) {
  const auto fail = [&](const std::string& message) -> FormatError {
    return FormatError("image", std::string(name) + ": " + message);
  };
  if (file.size() > file_limit) throw fail("has more than 256 MB");
  if (!stb::huffman_tables_fit(file)) throw fail("a Huffman table has more than 256 symbols");
  const auto info = stb::image_info(file);
  if (!info) throw fail("is not a PNG, JPEG or BMP picture with a valid header");
  if (!is_permitted(info->width, info->height))
    throw fail("the picture is " + size_text(info->width, info->height) + ", " + limit_text());
  const int channels = info->channels == 2 ? 4 : info->channels;
  Image image;
  const std::string problem = stb::decode_image(file, *info, channels, [&] {
    image = Image(info->width, info->height, channels);
    return image.pixels();
  });
  if (!problem.empty()) throw fail("cannot be decoded: " + problem);
  return image;
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
