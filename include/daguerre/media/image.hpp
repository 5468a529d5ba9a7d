#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/core/expected.hpp"
#include "daguerre/core/tensor.hpp"

namespace daguerre {

/// Text entries of a PNG file, (keyword, text) in file order, UTF-8. Keywords are 1 to 79 printable Latin-1
/// characters; image programs keep the generation parameters under "parameters" (see infotext.hpp).
using PngText = std::vector<std::pair<std::string, std::string>>;

/// How `Image::resized` takes samples: PIL's filters. All but the first are widened when shrinking.
enum class Resampling {
  nearest,   ///< the pixel under the centre of the new one
  lanczos,   ///< windowed sinc over 3 pixels
  box,       ///< the mean of what the new pixel covers
  bilinear,  ///< a triangle over 1 pixel
  hamming,   ///< a windowed sinc over 1 pixel
  bicubic,   ///< Keys's cubic over 2 pixels, a = -0.5
};

/// A part of a picture in pixels, whose borders may lie between two.
struct ImageBox {
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;
};

/// What a file's reader was compiled in for, as `picture_formats` says it.
struct PictureFormat {
  std::string_view name;     ///< as `image_format` calls it
  bool is_readable = false;  ///< by this build
  std::string_view library;  ///< that reads it; empty: the library's own reader
};

/// A picture of interleaved 8-bit pixels, rows from the top: 1 (grey), 3 (RGB) or 4 (RGBA) channels. A value:
/// copies own their pixels.
class Image {
 public:
  /// Larger pictures are refused, by the decoder before it allocates anything.
  static constexpr Index max_side = 16384;
  static constexpr Index max_pixels = Index{1} << 26;

  /// An empty picture, 0 by 0.
  Image() = default;
  /// A black picture (RGBA: transparent). Throws ArgumentError for sizes outside [1, max_side], more than
  /// max_pixels, or another number of channels than 1, 3, 4.
  Image(Index width, Index height, Index channels);

  /// Reads a PNG, JPEG, BMP, GIF, PBM, PGM or PPM file, and, where their libraries were compiled in, a WebP
  /// or TIFF file (`picture_formats`), of at most 256 MB as diffusers' load_image does, that is Pillow:
  /// turned the right way up where EXIF or XMP says how the camera was held; of 16-bit channels the upper
  /// byte, but of 16-bit grey without alpha the value itself, at most 255; palettes looked up; CMYK as inks
  /// on white, without its colour profile; of animations and pages the first. What has alpha becomes RGBA
  /// (`to_channels(3)` drops it, as load_image does; `over` does not), the rest grey or RGB. Throws
  /// FileError, or FormatError naming the file, and the library that its format would need.
  static Image load(const std::filesystem::path& path);
  /// The same from memory; `name` stands for the file in messages.
  static Image decode(std::span<const std::byte> file, std::string_view name = "image in memory");
  // The same for hosts that want no exceptions.
  static Expected<Image> try_load(const std::filesystem::path& path) noexcept;
  static Expected<Image> try_decode(std::span<const std::byte> file,
                                    std::string_view name = "image in memory") noexcept;

  Index width() const noexcept { return width_; }
  Index height() const noexcept { return height_; }
  Index channels() const noexcept { return channels_; }
  bool empty() const noexcept { return pixels_.empty(); }
  /// height * width * channels values.
  std::span<std::uint8_t> pixels() noexcept { return pixels_; }
  std::span<const std::uint8_t> pixels() const noexcept { return pixels_; }

  /// The picture with 1, 3 or 4 channels, converted as PIL's `convert` does: grey is ITU-R 601-2 luma, alpha
  /// is dropped, a new alpha is opaque. Throws ArgumentError.
  Image to_channels(Index channels) const;

  /// The picture with its transparent parts over that colour, grey where it and the picture are, else RGB, as
  /// PIL pastes it with its alpha for the mask. One without alpha stays what it is.
  Image over(std::uint8_t red, std::uint8_t green, std::uint8_t blue) const;

  /// The picture at another size, bit by bit as PIL's `resize` computes it: two passes, horizontal first,
  /// 22-bit fixed-point weights, each pass rounded to 8 bits, colours weighted by alpha. Throws
  /// ArgumentError when this picture is empty, or for a size the constructor refuses, that between the two
  /// passes (new width, old height) included.
  Image resized(Index width, Index height, Resampling resampling = Resampling::lanczos) const;
  /// The same of a part of the picture. Throws ArgumentError, too, where the box is empty or not inside.
  Image resized(Index width, Index height, Resampling resampling, const ImageBox& box) const;
  /// The pixels from (left, top) on, `width` by `height`. Throws ArgumentError where they are not inside.
  Image cropped(Index left, Index top, Index width, Index height) const;

  /// The picture as a PNG file with `text` in it: as tEXt where Latin-1 can hold it, else as iTXt. NUL and
  /// invalid UTF-8 in a text are replaced by U+FFFD. Throws ArgumentError for an empty picture, an invalid
  /// keyword, or more than 16 MB of text.
  std::vector<std::byte> encode_png(const PngText& text = {}) const;
  /// Writes that to a temporary file beside `path` and renames it. Throws FileError too.
  void save_png(const std::filesystem::path& path, const PngText& text = {}) const;

 private:
  Index width_ = 0;
  Index height_ = 0;
  Index channels_ = 0;
  std::vector<std::uint8_t> pixels_;
};

/// The format of the picture that begins with these bytes (32 are enough): "PNG", "JPEG", "WebP" … by its
/// magic number, whether it can be read here or not; empty when it is none that is known.
std::string_view image_format(std::span<const std::byte> start) noexcept;

/// The formats that this library has readers for, whether they were compiled in or not.
std::span<const PictureFormat> picture_formats() noexcept;

/// The tEXt, zTXt and iTXt entries of a PNG file. At most 16 MB of text are read. Throws FileError, or
/// FormatError naming the file and what is malformed.
PngText read_png_text(const std::filesystem::path& path);
/// The same from memory; `name` stands for the file in messages.
PngText decode_png_text(std::span<const std::byte> file, std::string_view name = "image in memory");

/// [1, H, W, C] in [0, 1]: value / 255.
Tensor<float> to_unit_tensor(const Image& image);
/// [1, H, W, C] in [-1, 1]: 2 (value / 255) - 1 in float32, as VaeImageProcessor normalises. The input of an
/// autoencoder.
Tensor<float> to_tensor(const Image& image);

/// `[N, H, W, C]` of any values at another size, as PIL's `resize` computes pictures of mode "F": as
/// `Image::resized`, without rounding to 8 bits. Throws ArgumentError for another shape or an empty size.
Tensor<float> resized(const Tensor<float>& values, Index width, Index height, Resampling resampling);

/// What a model is given of a picture to start from: its colours at that size by the Lanczos filter, as
/// `to_tensor` (VaeImageProcessor.preprocess). Throws ArgumentError as `Image::resized`.
Tensor<float> picture_input(const Image& picture, Index width, Index height);
/// What a model is given of a mask, [1, height, width, 1]: its colours at that size, then grey, then 1 from
/// 0.5 (grey 128) on and 0 below, as the reference's mask processor makes it of what load_image returns.
Tensor<float> mask_input(const Image& mask, Index width, Index height);

/// Decoded values around [-1, 1], any shape, as x / 2 + 0.5 clamped to [0, 1]
/// (VaeImageProcessor.denormalize). Throws NumericError when a value is NaN or infinite.
Tensor<float> denormalise(const Tensor<float>& decoded);
/// Picture `n` of decoded values [N, H, W, C], C being 1, 3 or 4: denormalised, times 255, rounded half to
/// even. Throws ArgumentError for another shape, NumericError as `denormalise` does.
Image to_image(const Tensor<float>& decoded, Index n = 0);

}  // namespace daguerre
