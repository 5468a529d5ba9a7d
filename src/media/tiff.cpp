#include "media/picture_file.hpp"

#if DAGUERRE_HAS_TIFF

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <tiffio.h>

#include "media/orientation.hpp"

// TIFF files by libtiff: the first page, whose samples become 8 bits as Pillow makes them.

namespace daguerre {
namespace {

constexpr std::uint64_t largest_tiff_part = std::uint64_t{1} << 30;
constexpr unsigned most_tiff_samples = 8;

/// A file in memory, as libtiff is given it, and what it says of it.
struct TiffMemory {
  std::span<const std::byte> bytes;
  std::uint64_t at = 0;
  std::string problem;  ///< the first one
};

tmsize_t tiff_read(thandle_t handle, void* to, tmsize_t size) {
  auto& memory = *static_cast<TiffMemory*>(handle);
  const std::uint64_t left = memory.bytes.size() - std::min<std::uint64_t>(memory.at, memory.bytes.size());
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(left, static_cast<std::uint64_t>(size)));
  if (count > 0) std::memcpy(to, memory.bytes.data() + memory.at, count);
  memory.at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t tiff_write(thandle_t, void*, tmsize_t) {
  return 0;
}
toff_t tiff_seek(thandle_t handle, toff_t offset, int whence) {
  auto& memory = *static_cast<TiffMemory*>(handle);
  if (whence == SEEK_CUR) offset += memory.at;
  if (whence == SEEK_END) offset += memory.bytes.size();
  return memory.at = offset;
}
int tiff_close(thandle_t) {
  return 0;
}
toff_t tiff_size(thandle_t handle) {
  return static_cast<TiffMemory*>(handle)->bytes.size();
}

/// Keeps the first error for the exception that ends the reading; what is only odd is not told.
int tiff_error(TIFF*, void* handle, const char*, const char* format, va_list arguments) {
  auto& memory = *static_cast<TiffMemory*>(handle);
  std::array<char, 200> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  if (memory.problem.empty()) memory.problem = text.data();
  return 1;
}
int tiff_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

struct TiffClose {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using TiffHandle = std::unique_ptr<TIFF, TiffClose>;

/// Errors go to `memory`, never to stderr nor to handlers that a host has set.
TiffHandle open_tiff(TiffMemory& memory) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 &TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), tiff_error, &memory);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), tiff_warning, &memory);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(largest_tiff_part));
  return TiffHandle(TIFFClientOpenExt("picture", "rm", &memory, tiff_read, tiff_write, tiff_seek, tiff_close,
                                      tiff_size, nullptr, nullptr, options.get()));
}

enum class TiffColours { grey, rgb, palette, cmyk };

/// Reads the first page.
class TiffPages {
 public:
  explicit TiffPages(const PictureFile& file) : file_(file), memory_{file.bytes, 0, {}} {
    tiff_ = open_tiff(memory_);
    if (!tiff_) throw error();
  }

  Image read() {
    width_ = number(TIFFTAG_IMAGEWIDTH);
    height_ = number(TIFFTAG_IMAGELENGTH);
    file_.check_size(width_, height_);
    read_layout();
    Image image = is_ycc_ ? converted() : sampled();
    return turned_upright(std::move(image), short_number(TIFFTAG_ORIENTATION, 1));
  }

 private:
  FormatError error(const std::string& message = {}) const {
    const std::string& what = message.empty() ? memory_.problem : message;
    return file_.error("cannot be decoded: " + (what.empty() ? "the TIFF picture is malformed" : what));
  }
  Index number(std::uint32_t tag) const {
    std::uint32_t value = 0;
    TIFFGetField(tiff_.get(), tag, &value);
    return value;
  }
  int short_number(std::uint32_t tag, int fallback) const {
    std::uint16_t value = 0;
    return TIFFGetField(tiff_.get(), tag, &value) == 1 ? value : fallback;
  }
  int short_default(std::uint32_t tag) const {
    std::uint16_t value = 0;
    TIFFGetFieldDefaulted(tiff_.get(), tag, &value);
    return value;
  }

  void read_layout() {
    const int compression = short_default(TIFFTAG_COMPRESSION);
    constexpr std::array known{COMPRESSION_NONE,      COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3,
                               COMPRESSION_CCITTFAX4, COMPRESSION_LZW,      COMPRESSION_JPEG,
                               COMPRESSION_DEFLATE,   COMPRESSION_PACKBITS, COMPRESSION_ADOBE_DEFLATE};
    if (std::find(known.begin(), known.end(), compression) == known.end())
      throw error("the TIFF compression " + std::to_string(compression) + " is not read");
    const int photometric = short_number(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    bits_ = static_cast<unsigned>(short_default(TIFFTAG_BITSPERSAMPLE));
    samples_ = static_cast<unsigned>(short_default(TIFFTAG_SAMPLESPERPIXEL));
    format_ = short_default(TIFFTAG_SAMPLEFORMAT);
    is_planar_ = short_default(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE;
    std::uint16_t extra_count = 0;
    const std::uint16_t* extras = nullptr;
    // Not what libtiff takes for granted where the file says nothing.
    if (TIFFGetField(tiff_.get(), TIFFTAG_EXTRASAMPLES, &extra_count, &extras) != 1) extra_count = 0;
    is_inverted_ = photometric == PHOTOMETRIC_MINISWHITE;
    if (photometric == PHOTOMETRIC_YCBCR) {
      // libtiff makes colours of it, in the JPEG decoder or afterwards.
      if (compression == COMPRESSION_JPEG && !is_planar_)
        TIFFSetField(tiff_.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      else
        is_ycc_ = true;
    }
    colours_ = photometric == PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_YCBCR ? TiffColours::rgb
               : photometric == PHOTOMETRIC_PALETTE                               ? TiffColours::palette
               : photometric == PHOTOMETRIC_SEPARATED                             ? TiffColours::cmyk
                                                                                  : TiffColours::grey;
    if (photometric > PHOTOMETRIC_YCBCR || photometric == PHOTOMETRIC_MASK)
      throw error("a TIFF picture of the colours " + std::to_string(photometric));
    colour_samples_ = colours_ == TiffColours::rgb ? 3 : colours_ == TiffColours::cmyk ? 4 : 1;
    if (samples_ < colour_samples_ || samples_ > most_tiff_samples)
      throw error("a TIFF picture of " + std::to_string(samples_) + " samples a pixel");
    if (samples_ > colour_samples_ && colours_ != TiffColours::cmyk) {
      // Colours with one sample more, of which nothing is said, have alpha.
      const int kind = extra_count > 0 && extras != nullptr ? extras[0] : EXTRASAMPLE_UNASSALPHA;
      alpha_ = kind != EXTRASAMPLE_UNSPECIFIED;
      premultiplied_ = kind == EXTRASAMPLE_ASSOCALPHA;
    }
    const bool is_grey = colours_ == TiffColours::grey;
    const bool fits = format_ == SAMPLEFORMAT_UINT || format_ == SAMPLEFORMAT_VOID
                          ? bits_ == 8 || bits_ == 16 ||
                                (samples_ == 1 && (bits_ == 1 || bits_ == 2 || bits_ == 4)) ||
                                (is_grey && bits_ == 32)
                      : format_ == SAMPLEFORMAT_INT    ? is_grey && (bits_ == 16 || bits_ == 32)
                      : format_ == SAMPLEFORMAT_IEEEFP ? is_grey && bits_ == 32
                                                       : false;
    if (!fits || (colours_ == TiffColours::palette && bits_ > 8))
      throw error("TIFF samples of " + std::to_string(bits_) + " bits and the format " +
                  std::to_string(format_));
    if (colours_ == TiffColours::palette) read_tiff_palette();
    check_stored(compression);
  }

  /// Refuses a picture that what is stored cannot hold, before memory is taken for it.
  void check_stored(int compression) {
    const std::uint64_t* counts = nullptr;
    const bool is_tiled = TIFFIsTiled(tiff_.get()) != 0;
    if (TIFFGetField(tiff_.get(), is_tiled ? TIFFTAG_TILEBYTECOUNTS : TIFFTAG_STRIPBYTECOUNTS, &counts) != 1)
      counts = nullptr;
    const std::uint64_t parts = counts == nullptr ? 0
                                : is_tiled        ? TIFFNumberOfTiles(tiff_.get())
                                                  : TIFFNumberOfStrips(tiff_.get());
    std::uint64_t stored = 0;  // 2^32 parts of at most 2^31 bytes
    for (std::uint64_t i = 0; i < parts; ++i)
      stored += std::min({counts[i], std::uint64_t{memory_.bytes.size()}, std::uint64_t{1} << 31});
    // Of colours that share their hue with neighbours, brightness alone is there for each pixel.
    const auto samples = is_ycc_ ? 1 : static_cast<Index>(samples_);
    const auto needed = static_cast<std::uint64_t>((width_ * samples * bits_ + 7) / 8 * height_);
    constexpr std::uint64_t most_deflated = 1032;  // bytes that one byte stands for
    const std::uint64_t ratio =
        compression == COMPRESSION_NONE                                                  ? 1
        : compression == COMPRESSION_DEFLATE || compression == COMPRESSION_ADOBE_DEFLATE ? most_deflated
                                                                                         : 0;
    if (stored == 0 || (ratio != 0 && stored < (needed + ratio - 1) / ratio))
      throw error("a TIFF picture of " + std::to_string(width_) + " x " + std::to_string(height_) + " in " +
                  std::to_string(stored) + " bytes");
  }

  void read_tiff_palette() {
    std::array<std::uint16_t*, 3> table{};
    if (TIFFGetField(tiff_.get(), TIFFTAG_COLORMAP, &table[0], &table[1], &table[2]) != 1)
      throw error("a TIFF palette is missing");
    for (std::size_t i = 0; i < std::size_t{1} << bits_; ++i)
      for (std::size_t c = 0; c < 3; ++c) palette_[i][c] = static_cast<std::uint8_t>(table[c][i] >> 8);
  }

  /// What libtiff converts itself.
  Image converted() {
    Image rgba(width_, height_, 4);
    std::vector<std::uint32_t> raster(static_cast<std::size_t>(width_ * height_));
    if (TIFFReadRGBAImageOriented(tiff_.get(), static_cast<std::uint32_t>(width_),
                                  static_cast<std::uint32_t>(height_), raster.data(), ORIENTATION_TOPLEFT,
                                  1) != 1)
      throw error();
    std::uint8_t* to = rgba.pixels().data();
    for (const std::uint32_t pixel : raster)
      for (const std::uint32_t value : {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel), TIFFGetA(pixel)})
        *to++ = static_cast<std::uint8_t>(value);
    return rgba.to_channels(3);
  }

  /// Reads part after part, strips or tiles, plane after plane, and then makes pixels of the samples.
  Image sampled() {
    const bool is_tiled = TIFFIsTiled(tiff_.get()) != 0;
    const std::uint64_t part_size = is_tiled ? TIFFTileSize64(tiff_.get()) : TIFFStripSize64(tiff_.get());
    Index part_width = width_, part_height = height_;
    if (is_tiled) {
      part_width = number(TIFFTAG_TILEWIDTH);
      part_height = number(TIFFTAG_TILELENGTH);
    } else {
      std::uint32_t rows = 0;
      TIFFGetFieldDefaulted(tiff_.get(), TIFFTAG_ROWSPERSTRIP, &rows);
      part_height = std::min<Index>(rows, height_);
    }
    // Tiles may reach beyond the picture, but not for the most part of it.
    const Index columns = std::min(part_width, width_),
                shared = is_planar_ ? 1 : static_cast<Index>(samples_);
    if (part_width < 1 || part_height < 1 || part_width > 2 * Image::max_side ||
        part_height > 2 * Image::max_side || part_width * part_height > 4 * width_ * height_ + (1 << 20) ||
        part_size > largest_tiff_part ||
        part_size < static_cast<std::uint64_t>((part_width * shared * bits_ + 7) / 8 * (part_height - 1) +
                                               (columns * shared * bits_ + 7) / 8))
      throw error("TIFF tiles or strips of " + std::to_string(part_width) + " x " +
                  std::to_string(part_height));
    const Index planes = is_planar_ ? static_cast<Index>(samples_) : 1;
    const auto row_bytes = static_cast<std::size_t>((part_width * shared * bits_ + 7) / 8);
    std::vector<std::uint8_t> part(static_cast<std::size_t>(part_size));
    values_.resize(static_cast<std::size_t>(width_ * height_ * static_cast<Index>(samples_)));
    for (Index plane = 0; plane < planes; ++plane)
      for (Index top = 0; top < height_; top += part_height)
        for (Index left = 0; left < width_; left += part_width) {
          const auto x = static_cast<std::uint32_t>(left), y = static_cast<std::uint32_t>(top);
          const auto sample = static_cast<std::uint16_t>(plane);
          const auto size = static_cast<tmsize_t>(part_size);
          const tmsize_t got =
              is_tiled ? TIFFReadEncodedTile(tiff_.get(), TIFFComputeTile(tiff_.get(), x, y, 0, sample),
                                             part.data(), size)
                       : TIFFReadEncodedStrip(tiff_.get(), TIFFComputeStrip(tiff_.get(), y, sample),
                                              part.data(), size);
          const Index high = std::min(part_height, height_ - top), wide = std::min(part_width, width_ - left);
          if (got < static_cast<tmsize_t>(row_bytes * static_cast<std::size_t>(high))) throw error();
          for (Index row = 0; row < high; ++row)
            unpack(part.data() + static_cast<std::size_t>(row) * row_bytes, wide * shared,
                   ((top + row) * width_ + left) * static_cast<Index>(samples_) + plane, shared);
        }
    return pixels();
  }

  /// Puts `count` samples of a row to the place `at` of `values_`, `shared` of a pixel side by side.
  void unpack(const std::uint8_t* row, Index count, Index at, Index shared) {
    const Index step = shared == 1 ? static_cast<Index>(samples_) : 1;
    for (Index i = 0; i < count; ++i) values_[static_cast<std::size_t>(at + i * step)] = value_of(row, i);
  }

  /// The `i`-th sample as 8 bits, an index of a palette as it is.
  std::uint8_t value_of(const std::uint8_t* row, Index i) const {
    const auto cut = [](auto value) {
      using Value = decltype(value);
      return static_cast<std::uint8_t>(std::clamp(value, Value{0}, Value{255}));
    };
    const auto read = [&]<class Value>(Value value) {
      std::memcpy(&value, row + static_cast<std::size_t>(i) * sizeof value, sizeof value);
      return value;
    };
    const bool is_grey = colours_ == TiffColours::grey && samples_ == 1;
    if (format_ == SAMPLEFORMAT_IEEEFP) {
      const float value = read(0.0f);
      return value > 0.0f ? cut(value) : std::uint8_t{0};  // NaN, too
    }
    if (format_ == SAMPLEFORMAT_INT)
      return bits_ == 16 ? cut(read(std::int16_t{})) : cut(read(std::int32_t{}));
    if (bits_ == 32) return cut(read(std::uint32_t{}));
    if (bits_ == 16) {
      const auto value = read(std::uint16_t{});
      return is_grey ? cut(value) : static_cast<std::uint8_t>(value >> 8);
    }
    if (bits_ == 8) return inverted(row[i]);
    const unsigned most = (1u << bits_) - 1, in_byte = 8 / bits_, column = static_cast<unsigned>(i);
    const unsigned value = row[column / in_byte] >> (8 - bits_ * (column % in_byte + 1)) & most;
    return colours_ == TiffColours::palette ? static_cast<std::uint8_t>(value)
                                            : inverted(static_cast<std::uint8_t>(value * (255 / most)));
  }

  std::uint8_t inverted(std::uint8_t value) const {
    return is_inverted_ ? static_cast<std::uint8_t>(255 - value) : value;
  }

  Image pixels() const {
    const bool is_grey = colours_ == TiffColours::grey;
    Image image(width_, height_, alpha_ ? 4 : is_grey ? 1 : 3);
    std::uint8_t* to = image.pixels().data();
    const std::uint8_t* from = values_.data();
    for (Index i = 0; i < width_ * height_; ++i, from += samples_, to += image.channels()) {
      if (colours_ == TiffColours::cmyk) {
        for (int c = 0; c < 3; ++c) to[c] = light_after_ink(255u - from[c], 255u - from[3]);
        continue;
      }
      for (Index c = 0; c < std::min<Index>(image.channels(), 3); ++c)
        to[c] = colours_ == TiffColours::palette ? palette_[from[0]][static_cast<std::size_t>(c)]
                                                 : from[is_grey ? 0 : c];
      if (!alpha_) continue;
      const unsigned alpha = to[3] = from[colour_samples_];
      for (int c = 0; premultiplied_ && c < 3; ++c)
        to[c] = static_cast<std::uint8_t>(alpha == 0 ? 0 : std::min(255u, to[c] * 255u / alpha));
    }
    return image;
  }

  const PictureFile& file_;
  TiffMemory memory_;
  TiffHandle tiff_;
  Index width_ = 0, height_ = 0;
  unsigned bits_ = 1, samples_ = 1, colour_samples_ = 1;
  int format_ = SAMPLEFORMAT_UINT;
  TiffColours colours_ = TiffColours::grey;
  bool is_planar_ = false, is_inverted_ = false, is_ycc_ = false, alpha_ = false, premultiplied_ = false;
  std::array<std::array<std::uint8_t, 3>, 256> palette_{};
  std::vector<std::uint8_t> values_;
};

}  // namespace

Image read_tiff(const PictureFile& file) {
  return TiffPages(file).read();
}

}  // namespace daguerre

#endif
