#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "media/picture_file.hpp"

// Windows bitmaps (BITMAPCOREHEADER to BITMAPV5HEADER), read as Pillow reads them: 1, 4 and 8 bits with a
// palette, run-length coded or not; 16, 24 and 32 bits with or without masks, a sample of k bits being
// v * 255 / (2^k - 1) rounded down.

namespace daguerre {
namespace {

enum BmpCompression : std::uint32_t {
  bmp_plain = 0,
  bmp_runs_of_8_bits = 1,
  bmp_runs_of_4_bits = 2,
  bmp_masks = 3
};

constexpr std::size_t bmp_file_header = 14;
constexpr std::size_t bmp_masks_at =
    bmp_file_header + 40;  // behind the shortest header that has masks, or in a longer one
constexpr std::uint32_t bmp_core_header = 12;

struct BmpMask {
  std::uint32_t bits = 0;

  std::uint8_t of(std::uint32_t pixel) const {
    if (bits == 0) return 0;
    const int shift = std::countr_zero(bits);
    return static_cast<std::uint8_t>(std::uint64_t{(pixel & bits) >> shift} * 255 / (bits >> shift));
  }
  bool is_contiguous() const {
    const std::uint64_t top = bits == 0 ? 0 : std::uint64_t{bits} >> std::countr_zero(bits);
    return (top & (top + 1)) == 0;
  }
};

class BmpReader {
 public:
  explicit BmpReader(const PictureFile& file) : file_(file) { read_header(); }

  Image read() const {
    file_.check_size(width_, height_);
    const bool run_length = compression_ == bmp_runs_of_8_bits || compression_ == bmp_runs_of_4_bits;
    if (bits_ > 8) return direct_colours();
    const BmpPalette palette = read_palette();
    const bool grey =
        std::ranges::all_of(palette, [](const auto& rgb) { return rgb[0] == rgb[1] && rgb[1] == rgb[2]; });
    const auto indices = run_length ? expand_runs() : unpack_indices();
    Image image(width_, height_, grey ? 1 : 3);
    std::uint8_t* to = image.pixels().data();
    for (Index y = 0; y < height_; ++y)
      for (Index x = 0; x < width_; ++x)
        to = std::copy_n(palette[indices[static_cast<std::size_t>(stored_row(y) * width_ + x)]].data(),
                         grey ? 1 : 3, to);
    return image;
  }

 private:
  using BmpPalette = std::array<std::array<std::uint8_t, 3>, 256>;

  std::uint32_t number(std::size_t at, std::size_t bytes) const {
    if (at > file_.bytes.size() || bytes > file_.bytes.size() - at)
      throw file_.error("the BMP header is cut short");
    std::uint32_t value = 0;
    for (std::size_t i = bytes; i-- > 0;)
      value = value << 8 | std::to_integer<std::uint32_t>(file_.bytes[at + i]);
    return value;
  }

  void read_header() {
    pixels_at_ = number(10, 4);
    header_size_ = number(bmp_file_header, 4);
    constexpr std::array<std::uint32_t, 7> known{bmp_core_header, 40, 52, 56, 64, 108, 124};
    if (std::ranges::find(known, header_size_) == known.end())
      throw file_.error("a BMP header of " + std::to_string(header_size_) + " bytes is not known");
    if (header_size_ == bmp_core_header) {
      width_ = number(18, 2);
      height_ = number(20, 2);
      bits_ = number(24, 2);
    } else {
      const std::uint32_t height = number(22, 4);
      from_top_ = height >> 24 == 0xFF;  // negative
      width_ = number(18, 4);
      height_ = from_top_ ? (Index{1} << 32) - height : height;
      bits_ = number(28, 2);
      compression_ = number(30, 4);
      colours_ = number(46, 4);
    }
    const bool fits = compression_ == bmp_plain ? bits_ == 1 || bits_ == 4 || bits_ == 8 || bits_ == 16 ||
                                                      bits_ == 24 || bits_ == 32
                      : compression_ == bmp_runs_of_8_bits ? bits_ == 8
                      : compression_ == bmp_runs_of_4_bits
                          ? bits_ == 4
                          : compression_ == bmp_masks && (bits_ == 16 || bits_ == 24 || bits_ == 32);
    if (!fits)
      throw file_.error("a BMP picture of " + std::to_string(bits_) + " bits a pixel with compression " +
                        std::to_string(compression_) + " cannot be read");
    if (bits_ <= 8) {
      if (colours_ == 0) colours_ = 1u << bits_;
      if (colours_ > 65536) throw file_.error("a BMP palette of " + std::to_string(colours_) + " colours");
    }
    // Some writers do not say where the pixels are, or forget the palette when they do.
    const std::size_t header_end = bmp_file_header + header_size_;
    if (pixels_at_ == 0)
      pixels_at_ =
          compression_ == bmp_masks ? std::max(header_end, bmp_masks_at + 12) : header_end + palette_size();
    else if (pixels_at_ == header_end)
      pixels_at_ += palette_size();
    if (bits_ > 8) read_masks();
  }

  std::size_t palette_size() const {
    return bits_ > 8 ? 0 : std::size_t{colours_} * (header_size_ == bmp_core_header ? 3 : 4);
  }

  void read_masks() {
    if (bits_ == 16) masks_ = {{{0x7C00}, {0x03E0}, {0x001F}, {0}}};
    if (compression_ == bmp_plain) return;
    for (std::size_t i = 0; i < 3; ++i) masks_[i].bits = number(bmp_masks_at + 4 * i, 4);
    if (header_size_ >= 56) masks_[3].bits = number(bmp_masks_at + 12, 4);
    if (std::ranges::all_of(masks_, [](const BmpMask& mask) { return mask.bits == 0; }))
      masks_ = {{{0x00FF0000}, {0x0000FF00}, {0x000000FF}, {0xFF000000}}};
    if (!std::ranges::all_of(masks_, &BmpMask::is_contiguous))
      throw file_.error("a BMP colour mask has holes");
  }

  BmpPalette read_palette() const {
    BmpPalette palette;
    for (std::size_t i = 0; i < 256; ++i) palette[i].fill(static_cast<std::uint8_t>(i));
    const std::size_t entry = header_size_ == bmp_core_header ? 3 : 4;
    const std::size_t count = std::min<std::size_t>({colours_, std::size_t{1} << bits_});
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t bgr = number(bmp_file_header + header_size_ + i * entry, 3);
      palette[i] = {static_cast<std::uint8_t>(bgr >> 16), static_cast<std::uint8_t>(bgr >> 8),
                    static_cast<std::uint8_t>(bgr)};
    }
    return palette;
  }

  Index stored_row(Index y) const { return from_top_ ? y : height_ - 1 - y; }

  /// The bytes of row `row` as stored, which all lie within the file.
  const std::byte* row_at(Index row) const {
    const Index bytes = (width_ * bits_ + 7) / 8, stride = (width_ * bits_ + 31) / 32 * 4;
    const Index begin = static_cast<Index>(pixels_at_) + row * stride;
    if (begin + bytes > static_cast<Index>(file_.bytes.size()))
      throw file_.error("cannot be decoded: the pixels are cut short");
    return file_.bytes.data() + begin;
  }

  std::vector<std::uint8_t> unpack_indices() const {
    row_at(height_ - 1);  // before there is memory for the rest
    std::vector<std::uint8_t> indices;
    indices.reserve(static_cast<std::size_t>(width_ * height_));
    const unsigned in_byte = 8 / bits_, mask = (1u << bits_) - 1;
    for (Index y = 0; y < height_; ++y) {
      const std::byte* row = row_at(y);
      for (Index x = 0; x < width_; ++x) {
        const auto column = static_cast<unsigned>(x);
        const unsigned shift = 8 - bits_ * (column % in_byte + 1);
        indices.push_back(
            static_cast<std::uint8_t>(std::to_integer<unsigned>(row[column / in_byte]) >> shift & mask));
      }
    }
    return indices;
  }

  /// Pixels that the runs leave out have index 0.
  std::vector<std::uint8_t> expand_runs() const {
    const auto width = static_cast<std::size_t>(width_), size = width * static_cast<std::size_t>(height_);
    std::vector<std::uint8_t> indices(size);
    std::size_t at = pixels_at_, done = 0, column = 0;
    const auto next = [&]() -> unsigned {
      return at < file_.bytes.size() ? std::to_integer<unsigned>(file_.bytes[at++]) : 0;
    };
    const auto put = [&](unsigned index) {
      if (done < size) indices[done++] = static_cast<std::uint8_t>(index);
    };
    const auto half = [](unsigned byte, std::size_t i) { return i % 2 == 0 ? byte >> 4 : byte & 15; };
    const bool halves = compression_ == bmp_runs_of_4_bits;
    while (done < size && at + 1 < file_.bytes.size()) {
      const unsigned count = next(), byte = next();
      if (count > 0) {  // as many of one, or of two in turns, within the row
        const std::size_t fits = std::min<std::size_t>(count, width - std::min(column, width));
        for (std::size_t i = 0; i < fits; ++i) put(halves ? half(byte, i) : byte);
        column += fits;
      } else if (byte == 0) {  // to the end of the row
        done = std::min((done + width - 1) / width * width, size);
        column = 0;
      } else if (byte == 1) {
        break;
      } else if (byte == 2) {  // to the right and up
        const std::size_t right = next(), up = next();
        done = std::min(done + right + up * width, size);
        column = done % width;
      } else {  // as many pixels as they are, filled up to two bytes
        for (unsigned i = 0, pair = 0; i < byte; ++i) {
          if (!halves || i % 2 == 0) pair = next();
          put(halves ? half(pair, i) : pair);
        }
        column += byte;
        at += at % 2;
      }
    }
    return indices;
  }

  Image direct_colours() const {
    row_at(height_ - 1);
    const bool has_alpha = masks_[3].bits != 0;
    Image image(width_, height_, has_alpha ? 4 : 3);
    std::uint8_t* to = image.pixels().data();
    const std::size_t bytes = bits_ / 8;
    for (Index y = 0; y < height_; ++y) {
      const std::byte* from = row_at(stored_row(y));
      for (Index x = 0; x < width_; ++x, from += bytes) {
        std::uint32_t pixel = 0;
        for (std::size_t i = bytes; i-- > 0;) pixel = pixel << 8 | std::to_integer<std::uint32_t>(from[i]);
        for (std::size_t c = 0; c < (has_alpha ? 4u : 3u); ++c) *to++ = masks_[c].of(pixel);
      }
    }
    return image;
  }

  const PictureFile& file_;
  std::size_t pixels_at_ = 0;
  std::uint32_t header_size_ = 0, bits_ = 0, compression_ = bmp_plain, colours_ = 0;
  Index width_ = 0, height_ = 0;
  bool from_top_ = false;
  std::array<BmpMask, 4> masks_{{{0x00FF0000}, {0x0000FF00}, {0x000000FF}, {0}}};  // red, green, blue, alpha
};

}  // namespace

Image read_bmp(const PictureFile& file) {
  return BmpReader(file).read();
}

}  // namespace daguerre
