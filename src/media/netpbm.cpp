#include <algorithm>
#include <cmath>

#include "media/bytes.hpp"
#include "media/picture_file.hpp"

// PBM, PGM and PPM files (P1 to P6) as Pillow reads them: values are brought to 0 … 255, those of grey
// pictures of more than 8 bits to 0 … 65535 and then, as all 16-bit grey, cut off at 255.

namespace daguerre {
namespace {

constexpr std::size_t longest_number = 10;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

class NetpbmReader {
 public:
  explicit NetpbmReader(const PictureFile& file) : file_(file), rest_(as_text(file.bytes)) {}

  Image read() {
    const char kind = rest_[1];
    if (kind > '6') throw error(std::string("a file of the kind P") + kind + ", expected P1 to P6");
    rest_.remove_prefix(3);
    is_plain_ = kind <= '3';
    const bool is_bitmap = kind == '1' || kind == '4';
    channels_ = kind == '3' || kind == '6' ? 3 : 1;
    const Index width = header_number(), height = header_number();
    highest_ = is_bitmap ? 1 : header_number();
    if (highest_ < 1 || highest_ > 65535)
      throw error("the largest value is " + std::to_string(highest_) + ", expected 1 to 65535");
    file_.check_size(width, height);
    check_length(width, height, is_bitmap);
    Image image(width, height, channels_);
    if (is_bitmap)
      is_plain_ ? read_plain_bits(image) : read_packed_bits(image);
    else
      for (std::uint8_t& value : image.pixels()) value = scaled(is_plain_ ? plain_number() : binary_number());
    return image;
  }

 private:
  FormatError error(const std::string& message) const { return file_.error("cannot be decoded: " + message); }

  char next() {
    if (rest_.empty()) throw error("the picture is cut short");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  /// To the end of the line, which is taken, too.
  void skip_comment() {
    while (!rest_.empty() && rest_.front() != '\n' && rest_.front() != '\r') rest_.remove_prefix(1);
    if (!rest_.empty()) rest_.remove_prefix(1);
  }

  /// The next word; the white space behind it is taken, one character of it. Comments vanish.
  std::string word() {
    std::string result;
    while (!rest_.empty()) {
      const char c = next();
      if (c == '#') {
        skip_comment();
      } else if (is_space(c)) {
        if (!result.empty()) break;
      } else {
        result += c;
        if (result.size() > longest_number) throw error("a number is too long");
      }
    }
    return result;
  }

  Index number_in(const std::string& word) const {
    if (word.empty()) throw error("the picture is cut short");
    Index value = 0;
    for (const char c : word) {
      if (c < '0' || c > '9') throw error("a number was expected");
      value = value * 10 + (c - '0');
    }
    return value;
  }
  Index header_number() { return number_in(word()); }

  Index plain_number() {
    const Index value = number_in(word());
    if (value > highest_) throw error("a value is larger than the largest");
    return value;
  }
  Index binary_number() {
    const auto byte = [&] { return static_cast<Index>(static_cast<unsigned char>(next())); };
    if (highest_ < 256) return byte();
    const Index high = byte();
    return high << 8 | byte();
  }

  /// Half to even, as Python rounds.
  std::uint8_t scaled(Index value) const {
    const double range = channels_ == 1 && highest_ > 255 ? 65535.0 : 255.0;
    const double part = static_cast<double>(value) / static_cast<double>(highest_);
    return static_cast<std::uint8_t>(std::min(std::nearbyint(part * range), 255.0));
  }

  /// Throws before there is memory for a picture that the file cannot hold.
  void check_length(Index width, Index height, bool is_bitmap) const {
    const Index values = width * height * channels_;
    const Index needed = is_bitmap && !is_plain_ ? (width + 7) / 8 * height
                         : is_bitmap             ? values
                         : is_plain_             ? 2 * values - 1
                                                 : values * (highest_ < 256 ? 1 : 2);
    if (static_cast<Index>(rest_.size()) < needed) throw error("the picture is cut short");
  }

  void read_plain_bits(Image& image) {
    for (std::uint8_t& value : image.pixels()) {
      char c = next();
      while (is_space(c) || c == '#') {
        if (c == '#') skip_comment();
        c = next();
      }
      if (c != '0' && c != '1') throw error("0 or 1 was expected");
      value = c == '0' ? 255 : 0;
    }
  }

  void read_packed_bits(Image& image) {
    std::uint8_t* to = image.pixels().data();
    for (Index y = 0; y < image.height(); ++y) {
      unsigned bits = 0;
      for (Index x = 0; x < image.width(); ++x) {
        if (x % 8 == 0) bits = static_cast<unsigned char>(next());
        *to++ = (bits & (0x80u >> x % 8)) != 0 ? 0 : 255;
      }
    }
  }

  const PictureFile& file_;
  std::string_view rest_;
  bool is_plain_ = false;
  Index channels_ = 1, highest_ = 1;
};

}  // namespace

Image read_netpbm(const PictureFile& file) {
  return NetpbmReader(file).read();
}

}  // namespace daguerre
