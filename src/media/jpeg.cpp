#include <algorithm>
#include <array>
#include <string_view>

#include "media/jpeg_header.hpp"
#include "media/jpeg_scan.hpp"
#include "media/jpeg_upsampling.hpp"
#include "media/orientation.hpp"
#include "media/picture_file.hpp"

// JPEG files (ITU-T T.81) of 8 bits, sequential or progressive, with Huffman codes. The arithmetic is that of
// libjpeg with its defaults, so that the pixels are those that Pillow gives.

namespace daguerre {
namespace {

/// A picture needs a dozen; each goes over all blocks, however little data it has.
constexpr int most_jpeg_scans = 500;

/// A segment's data.
class JpegSegment {
 public:
  JpegSegment(const PictureFile& file, std::string_view data) : file_(file), data_(data) {}
  bool empty() const { return data_.empty(); }
  unsigned byte() {
    if (data_.empty()) throw file_.error("cannot be decoded: a JPEG segment is too short");
    const auto value = static_cast<unsigned char>(data_.front());
    data_.remove_prefix(1);
    return value;
  }
  unsigned pair() {
    const unsigned high = byte();
    return high << 8 | byte();
  }

 private:
  const PictureFile& file_;
  std::string_view data_;
};

class JpegDecoder {
 public:
  JpegDecoder(const PictureFile& file, const JpegHeader& header) : file_(file), header_(header) {
    frame_.is_progressive = header.frame == 0xC2;
    frame_.width = header.width;
    frame_.height = header.height;
  }

  Image read() {
    read_segments();
    if (scans_ == 0) throw error("there are no pixels");
    if (frame_.is_progressive) transform_all();
    return colours();
  }

 private:
  FormatError error(const std::string& message) const { return file_.error("cannot be decoded: " + message); }

  void read_segments() {
    const std::string_view file(reinterpret_cast<const char*>(file_.bytes.data()), file_.bytes.size());
    const auto byte = [&](std::size_t i) {
      return i < file.size() ? static_cast<unsigned char>(file[i]) : 0u;
    };
    for (std::size_t at = 2;;) {
      while (at + 1 < file.size() && (byte(at) != 0xFF || byte(at + 1) == 0xFF || byte(at + 1) == 0)) ++at;
      const unsigned marker = byte(at + 1);
      if (marker == 0xD9) return;
      if (at + 4 > file.size()) throw error("the JPEG picture is cut short");
      if (marker >= 0xD0 && marker <= 0xD8) {  // they stand alone
        at += 2;
        continue;
      }
      const std::size_t length = std::max(2u, byte(at + 2) << 8 | byte(at + 3));
      if (at + 2 + length > file.size()) throw error("the JPEG picture is cut short");
      JpegSegment data(file_, file.substr(at + 4, length - 2));
      at += 2 + length;
      if (marker == 0xDA)
        at = read_scan(data, at);
      else
        read_segment(marker, data);
    }
  }

  void read_segment(unsigned marker, JpegSegment data) {
    if (marker == 0xC4) read_huffman_tables(data);
    if (marker == 0xDB) read_quantisation(data);
    if (marker == 0xDD) frame_.restart_interval = data.pair();
    if (marker == header_.frame) read_frame(data);
  }

  void read_quantisation(JpegSegment data) {
    while (!data.empty()) {
      const unsigned what = data.byte(), number = what & 15;
      if (number > 3) throw error("quantisation table " + std::to_string(number));
      for (const std::uint8_t position : jpeg_natural_order)
        frame_.quantisation[number][position] =
            static_cast<std::uint16_t>(what >> 4 == 0 ? data.byte() : data.pair());
      frame_.has_quantisation[number] = true;
    }
  }

  void read_huffman_tables(JpegSegment data) {
    while (!data.empty()) {
      const unsigned what = data.byte(), number = what & 15;
      if (what >> 4 > 1 || number > 3) throw error("Huffman table " + std::to_string(what));
      std::array<std::uint8_t, 16> lengths;
      std::size_t symbols = 0;
      for (auto& length : lengths) symbols += length = static_cast<std::uint8_t>(data.byte());
      if (symbols > 256) throw error("a Huffman table has more than 256 symbols");
      std::vector<std::uint8_t> values(symbols);
      for (auto& value : values) value = static_cast<std::uint8_t>(data.byte());
      auto& table = (what >> 4 == 0 ? frame_.dc : frame_.ac)[number];
      if (!table.define(lengths, values)) throw error("a Huffman table that is none");
    }
  }

  void read_frame(JpegSegment data) {
    if (!frame_.components.empty()) throw error("there are two frames");
    for (int i = 0; i < 5; ++i) data.byte();  // bits, height and width are known
    std::vector<JpegComponent> components(data.byte());
    if (components.size() != 1 && components.size() != 3 && components.size() != 4)
      throw error(std::to_string(components.size()) + " colours");
    for (auto& component : components) {
      component.id = data.byte();
      const unsigned sampling = data.byte();
      component.h = sampling >> 4;
      component.v = sampling & 15;
      component.table = data.byte();
      if (component.h < 1 || component.h > 4 || component.v < 1 || component.v > 4 || component.table > 3)
        throw error("a colour with sampling factors or a table that do not exist");
      frame_.h = std::max(frame_.h, component.h);
      frame_.v = std::max(frame_.v, component.v);
    }
    const auto divided = [](Index a, Index b) { return (a + b - 1) / b; };
    for (auto& component : components) {
      if (frame_.h % component.h != 0 || frame_.v % component.v != 0)
        throw error("sampling factors that are no multiples of each other");
      component.width = divided(frame_.width * component.h, frame_.h);
      component.height = divided(frame_.height * component.v, frame_.v);
      component.columns = divided(frame_.width, 8 * frame_.h) * component.h;
      component.rows = divided(frame_.height, 8 * frame_.v) * component.v;
    }
    frame_.components = std::move(components);
  }

  /// Returns where the next segment is.
  std::size_t read_scan(JpegSegment data, std::size_t at) {
    if (++scans_ > most_jpeg_scans) throw error("more than " + std::to_string(most_jpeg_scans) + " scans");
    JpegScan scan;
    scan.parts.resize(data.byte());
    if (scan.parts.empty() || scan.parts.size() > frame_.components.size())
      throw error("a scan of other colours");
    for (auto& part : scan.parts) {
      const unsigned id = data.byte(), tables = data.byte();
      const auto found = std::ranges::find(frame_.components, id, &JpegComponent::id);
      if (found == frame_.components.end()) throw error("a scan of other colours");
      if (tables >> 4 > 3 || (tables & 15) > 3) throw error("a scan with tables that do not exist");
      part = {&*found, &frame_.dc[tables >> 4], &frame_.ac[tables & 15]};
      begin(*part.component);
    }
    scan.first = static_cast<int>(data.byte());
    scan.last = static_cast<int>(data.byte());
    const unsigned bits = data.byte();
    scan.high = static_cast<int>(bits >> 4);
    scan.low = static_cast<int>(bits & 15);
    check(scan);
    JpegBits entropy(file_.bytes, at);
    if (const char* problem = decode_scan(frame_, scan, entropy)) throw error(problem);
    return entropy.next_segment();
  }

  /// Tables are those in force at a colour's first scan; only from there on does it need memory.
  void begin(JpegComponent& component) {
    if (component.has_quantisation) return;
    if (!frame_.has_quantisation[component.table]) throw error("a quantisation table is missing");
    component.quantisation = frame_.quantisation[component.table];
    component.has_quantisation = true;
    const auto size = static_cast<std::size_t>(component.columns * component.rows * 64);
    component.samples.assign(size, 128);
    if (frame_.is_progressive) component.coefficients.assign(size, 0);
  }

  void check(JpegScan& scan) const {
    if (frame_.is_progressive) {
      const bool fits = scan.first == 0 ? scan.last == 0
                                        : scan.last >= scan.first && scan.last < 64 && scan.parts.size() == 1;
      if (!fits || scan.low > 13) throw error("a progressive scan of coefficients that do not go together");
    } else {
      scan.first = 0;
    }
    const bool needs_dc = scan.first == 0 && !(frame_.is_progressive && scan.high > 0);
    const bool needs_ac = !frame_.is_progressive || scan.first > 0;
    for (const auto& part : scan.parts)
      if ((needs_dc && !part.dc->is_defined()) || (needs_ac && !part.ac->is_defined()))
        throw error("a Huffman table is missing");
  }

  void transform_all() {
    for (auto& component : frame_.components) {
      if (!component.has_quantisation) continue;
      for (Index row = 0; row < component.rows; ++row)
        for (Index column = 0; column < component.columns; ++column)
          component.transform(column, row,
                              component.coefficients.data() + (row * component.columns + column) * 64);
      component.coefficients = {};
    }
  }

  enum class Colours { grey, rgb, ycc, cmyk, ycck };

  /// What the components mean, as libjpeg concludes it.
  Colours meaning() const {
    const auto& components = frame_.components;
    if (components.size() == 1) return Colours::grey;
    const auto transform = header_.adobe_transform;
    if (components.size() == 4) return transform.value_or(0) == 0 ? Colours::cmyk : Colours::ycck;
    if (header_.has_jfif) return Colours::ycc;
    if (transform) return *transform == 0 ? Colours::rgb : Colours::ycc;
    const bool named_rgb = components[0].id == 'R' && components[1].id == 'G' && components[2].id == 'B';
    return named_rgb ? Colours::rgb : Colours::ycc;
  }

  Image colours() const;

  const PictureFile& file_;
  const JpegHeader& header_;
  JpegFrame frame_;
  int scans_ = 0;
};

std::uint8_t clamped_to_byte(int value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

/// JFIF's conversion in 16-bit fixed point; the two summands of green are rounded together.
void ycc_to_rgb(int y, int cb, int cr, std::uint8_t* rgb) {
  constexpr int half = 1 << 15;
  cb -= 128;
  cr -= 128;
  rgb[0] = clamped_to_byte(y + ((91881 * cr + half) >> 16));
  rgb[1] = clamped_to_byte(y + ((-22554 * cb - 46802 * cr + half) >> 16));
  rgb[2] = clamped_to_byte(y + ((116130 * cb + half) >> 16));
}

Image JpegDecoder::colours() const {
  const Colours colours = meaning();
  for (const auto& component : frame_.components)
    if (component.samples.empty()) throw error("a colour is missing");
  std::vector<JpegUpsampling> upsampled;
  for (const auto& component : frame_.components) upsampled.emplace_back(frame_, component);
  Image image(frame_.width, frame_.height, colours == Colours::grey ? 1 : 3);
  std::uint8_t* to = image.pixels().data();
  for (Index y = 0; y < frame_.height; ++y) {
    std::array<const std::uint8_t*, 4> rows{};
    for (std::size_t i = 0; i < upsampled.size(); ++i) rows[i] = upsampled[i].row(y);
    if (colours == Colours::grey) {
      to = std::copy_n(rows[0], frame_.width, to);
      continue;
    }
    for (Index x = 0; x < frame_.width; ++x, to += 3) {
      std::uint8_t pixel[3] = {rows[0][x], rows[1][x], rows[2][x]};
      if (colours == Colours::ycc || colours == Colours::ycck)
        ycc_to_rgb(pixel[0], pixel[1], pixel[2], pixel);
      for (int c = 0; c < 3; ++c) {
        const unsigned ink = colours == Colours::ycck ? 255u - pixel[c] : pixel[c];
        to[c] = frame_.components.size() == 4 ? light_after_ink(ink, rows[3][x]) : pixel[c];
      }
    }
  }
  return image;
}

/// The kinds of JPEG that are hardly ever met.
std::string unsupported_jpeg(const JpegHeader& header) {
  if (header.bits != 8) return "samples of " + std::to_string(header.bits) + " bits";
  if (header.frame > 0xC8) return "arithmetic coding";
  if (header.frame == 0xC3) return "lossless coding";
  if (header.frame > 0xC2) return "hierarchical coding";
  return {};
}

}  // namespace

Image read_jpeg(const PictureFile& file) {
  const auto header = read_jpeg_header(file.bytes);
  if (!header) throw file.error("a JPEG picture without a header");
  const std::string kind = unsupported_jpeg(*header);
  if (!kind.empty()) throw file.error("a JPEG picture that cannot be read here: " + kind);
  file.check_size(header->width, header->height);
  return turned_upright(JpegDecoder(file, *header).read(), header->orientation);
}

}  // namespace daguerre
