#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "media/bytes.hpp"
#include "media/picture_file.hpp"

// GIF files (CompuServe's specifications of 1987 and 1989): the first frame, as Pillow reads it.

namespace daguerre {
namespace {

constexpr int gif_code_bits = 12;

/// Takes codes out of blocks of bytes and expands them to `room` (LZW with codes that grow).
class GifDecoder {
 public:
  GifDecoder(const PictureFile& file, std::string_view data) : file_(file), data_(data) {}

  void expand(std::span<std::uint8_t> room) {
    const unsigned start_bits = byte();
    if (start_bits < 1 || start_bits > 8)
      throw file_.error("cannot be decoded: a GIF picture of " + std::to_string(start_bits) + " bits");
    const unsigned clear = 1u << start_bits, end = clear + 1;
    unsigned bits = start_bits + 1, next = end + 1;
    std::optional<unsigned> before;
    std::uint8_t first = 0;  // of what the code before stands for
    for (std::size_t done = 0; done < room.size();) {
      const unsigned code = take(bits);
      if (code == end) return;
      if (code == clear) {
        bits = start_bits + 1;
        next = end + 1;
        before.reset();
        continue;
      }
      if (before ? code > next || (code == next && next >= table_size) : code >= clear)
        throw file_.error("cannot be decoded: a GIF code that stands for nothing");
      // What a code stands for is found from its end.
      std::size_t length = 0;
      if (code == next) stack_[length++] = first;
      for (unsigned at = code == next ? *before : code;; at = prefix_[at]) {
        stack_[length++] = at < clear ? static_cast<std::uint8_t>(at) : suffix_[at];
        if (at < clear) break;
      }
      first = stack_[length - 1];
      while (length > 0 && done < room.size()) room[done++] = stack_[--length];
      if (before && next < table_size) {
        prefix_[next] = static_cast<std::uint16_t>(*before);
        suffix_[next++] = first;
        if (next == 1u << bits && bits < gif_code_bits) ++bits;
      }
      before = code;
    }
  }

 private:
  static constexpr unsigned table_size = 1u << gif_code_bits;

  unsigned byte() {
    if (data_.empty()) throw file_.error("cannot be decoded: the GIF picture is cut short");
    const auto value = static_cast<unsigned char>(data_.front());
    data_.remove_prefix(1);
    return value;
  }

  unsigned take(unsigned bits) {
    while (bits_left_ < bits) {
      while (in_block_ == 0) {
        in_block_ = byte();
        if (in_block_ == 0) throw file_.error("cannot be decoded: the GIF picture is cut short");
      }
      --in_block_;
      buffer_ |= byte() << bits_left_;
      bits_left_ += 8;
    }
    const unsigned code = buffer_ & ((1u << bits) - 1);
    buffer_ >>= bits;
    bits_left_ -= bits;
    return code;
  }

  const PictureFile& file_;
  std::string_view data_;
  unsigned in_block_ = 0, buffer_ = 0, bits_left_ = 0;
  std::array<std::uint16_t, table_size> prefix_{};
  std::array<std::uint8_t, table_size> suffix_{};
  std::array<std::uint8_t, table_size + 1> stack_{};
};

/// The row of the picture that the `n`-th stored one is, of interlaced pictures.
std::vector<Index> gif_rows(Index height, bool is_interlaced) {
  std::vector<Index> rows;
  constexpr std::array<std::array<Index, 2>, 4> passes{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& pass : passes) {
    if (!is_interlaced) break;
    for (Index row = pass[0]; row < height; row += pass[1]) rows.push_back(row);
  }
  for (Index row = 0; !is_interlaced && row < height; ++row) rows.push_back(row);
  return rows;
}

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
    if (!frame.empty()) GifDecoder(file_, rest_).expand(frame);
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
