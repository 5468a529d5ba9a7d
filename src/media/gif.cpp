#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "media/bytes.hpp"
#include "media/gif_codes.hpp"
#include "media/picture_file.hpp"

// GIF files (CompuServe's specifications of 1987 and 1989): the first frame, as Pillow reads it.

namespace daguerre {
namespace {

class GifReader {
 public:
  explicit GifReader(const PictureFile& file) : file_(file), rest_(as_text(file.bytes)) {}

  Image read() {
    take(6);
    width_ = number();
    height_ = number();
    const unsigned flags = byte();
    take(2);  // the background's colour, which no one heeds, and the pixels' aspect
    if ((flags & 128) != 0) read_palette(flags);
    for (;;) {
      const unsigned what = byte();
      if (what == ',') return read_frame();
      if (what == ';') throw file_.error("there is no picture in this GIF file");
      if (what == '!') read_extension();
    }
  }

 private:
  std::string_view take(std::size_t count) {
    if (rest_.size() < count) throw file_.error("cannot be decoded: the GIF picture is cut short");
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  unsigned byte() { return static_cast<unsigned char>(take(1)[0]); }
  Index number() {
    const unsigned low = byte();
    return byte() << 8 | low;
  }

  void read_palette(unsigned flags) {
    const auto colours = take(std::size_t{3} << ((flags & 7) + 1));
    palette_ = {};
    for (std::size_t i = 0; i < colours.size(); ++i)
      palette_[i / 3][i % 3] = static_cast<std::uint8_t>(colours[i]);
    has_palette_ = true;
  }

  void read_extension() {
    const bool is_control = byte() == 249;
    bool is_first = true;
    for (unsigned size = byte(); size != 0; size = byte()) {
      const auto block = take(size);
      if (is_control && is_first && size >= 4 && (block[0] & 1) != 0)
        transparent_ = static_cast<unsigned char>(block[3]);
      is_first = false;
    }
  }

  Image read_frame() {
    const Index left = number(), top = number(), width = number(), height = number();
    const unsigned flags = byte();
    if ((flags & 128) != 0) read_palette(flags);
    const Index all_columns = std::max(width_, left + width), all_rows = std::max(height_, top + height);
    file_.check_size(all_columns, all_rows);
    std::vector<std::uint8_t> frame(static_cast<std::size_t>(width * height));
    if (!frame.empty()) expand_gif_codes(file_, rest_, frame);
    if (!has_palette_)
      for (std::size_t i = 0; i < 256; ++i) palette_[i].fill(static_cast<std::uint8_t>(i));
    const bool is_grey =
        std::ranges::all_of(palette_, [](const auto& rgb) { return rgb[0] == rgb[1] && rgb[1] == rgb[2]; });
    const Index channels = transparent_ ? 4 : is_grey ? 1 : 3;
    Image image(all_columns, all_rows, channels);
    // What the frame leaves out is transparent, where anything is.
    std::uint8_t* to = image.pixels().data();
    for (Index i = 0; i < all_columns * all_rows; ++i) to = put(to, transparent_.value_or(0), channels);
    const auto rows = gif_rows(height, (flags & 64) != 0);
    for (std::size_t n = 0; n < rows.size(); ++n) {
      to = image.pixels().data() + ((top + rows[n]) * all_columns + left) * channels;
      for (Index x = 0; x < width; ++x)
        to = put(to, frame[n * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)], channels);
    }
    return image;
  }

  std::uint8_t* put(std::uint8_t* to, unsigned index, Index channels) const {
    to = std::copy_n(palette_[index].data(), std::min<Index>(channels, 3), to);
    if (channels == 4) *to++ = transparent_ == index ? 0 : 255;
    return to;
  }

  const PictureFile& file_;
  std::string_view rest_;
  Index width_ = 0, height_ = 0;
  bool has_palette_ = false;
  std::array<std::array<std::uint8_t, 3>, 256> palette_{};
  std::optional<unsigned> transparent_;
};

}  // namespace

Image read_gif(const PictureFile& file) {
  return GifReader(file).read();
}

}  // namespace daguerre
