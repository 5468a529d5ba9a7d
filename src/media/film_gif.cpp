#include <algorithm>
#include <array>

#include "core/file_bytes.hpp"
#include "daguerre/core/error.hpp"
#include "media/bytes.hpp"
#include "media/film_file.hpp"
#include "media/gif_codes.hpp"
#include "media/gif_palette.hpp"
#include "media/picture_file.hpp"

// Films in GIF files (CompuServe's specification of 1989, and Netscape's extension for loops).

namespace daguerre {
namespace {

constexpr double gif_ticks = 100.0;  // in a second
constexpr std::size_t gif_text_limit = std::size_t{16} << 20;

std::string gif_number(Index value) {
  return {static_cast<char>(value & 0xFF), static_cast<char>(value >> 8 & 0xFF)};
}

/// Text as an extension's blocks.
std::string gif_blocks(std::string_view text) {
  std::string blocks;
  for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(255, text.size()))) {
    const auto part = text.substr(0, 255);
    blocks += static_cast<char>(part.size());
    blocks += part;
  }
  return blocks + '\0';
}

class GifFilmWriter : public FilmWriter::Encoder {
 public:
  GifFilmWriter(const std::filesystem::path& path, const FilmOptions& options)
      : output_(path), options_(options) {}

  void write(const Image& given) override {
    const Image frame = without_alpha(given);
    if (before_.empty()) begin(frame);
    // What the frame before shows already is left out; dithering is fixed to places, so only changes differ.
    const auto box =
        before_.empty() ? ChangedBox{0, 0, frame.width(), frame.height()} : changed_box(before_, frame);
    const GifPalette own(frame);
    const bool is_global = first_->exact_indices(frame).has_value() || own.table() == first_->table();
    const GifPalette& palette = is_global ? *first_ : own;
    const auto all = palette.indices(frame);
    std::vector<std::uint8_t> part;
    for (Index y = box.top; y < box.top + box.height; ++y) {
      const auto row = all.begin() + y * frame.width() + box.left;
      part.insert(part.end(), row, row + box.width);
    }
    std::string text("\x21\xF9\x04\x04", 4);  // a control extension: what is drawn stays
    text += gif_number(frame_time(count_ + 1, options_.frame_rate, gif_ticks) -
                       frame_time(count_, options_.frame_rate, gif_ticks));
    text += std::string(2, '\0') + ',';
    for (const Index value : {box.left, box.top, box.width, box.height}) text += gif_number(value);
    text += static_cast<char>(is_global ? 0 : 0x80 | (palette.bits() - 1));
    if (!is_global) text += palette.table();
    output_.put(text + gif_codes(part, palette.bits()));
    before_ = frame;
    ++count_;
  }

  void finish() override {
    output_.put(";");
    output_.finish();
  }

 private:
  void begin(const Image& frame) {
    first_.emplace(frame);
    std::string text = "GIF89a" + gif_number(frame.width()) + gif_number(frame.height());
    text += static_cast<char>(0xF0 | (first_->bits() - 1));
    text += std::string(2, '\0') + first_->table();
    if (options_.loops != 1)
      text += std::string("\x21\xFF\x0BNETSCAPE2.0\x03\x01", 16) + gif_number(options_.loops) + '\0';
    if (!options_.text.empty()) text += "\x21\xFE" + gif_blocks(options_.text);
    output_.put(text);
  }

  FilmOutput output_;
  FilmOptions options_;
  std::optional<GifPalette> first_;
  Image before_;
  std::int64_t count_ = 0;
};

/// Where a frame lies in the file, and how it is shown.
struct GifFrame {
  Index left = 0, top = 0, width = 0, height = 0;
  unsigned flags = 0;
  std::size_t palette = 0, codes = 0;  ///< where they begin
  int transparent = -1, disposal = 0;
};

class GifFilmReader : public FilmReader::Decoder {
 public:
  explicit GifFilmReader(const std::filesystem::path& path)
      : path_(path), bytes_(map_file(path, film_name)), name_(path.string()), file_(as_text(bytes_.bytes)) {
    info_.format = "GIF";
    is_whole_ = scan();
    if (frames_.empty())
      throw film_error(path_, is_whole_ ? "there is no frame in this GIF film" : "the GIF film is cut short");
    if (is_whole_) info_.frames = static_cast<std::int64_t>(frames_.size());
    info_.frame_rate = rate_of_delays(delays_, gif_ticks);
  }

  std::optional<Image> next() override {
    if (at_ == frames_.size()) {
      if (!is_whole_)
        throw film_error(path_, "the GIF film is cut short behind frame " + std::to_string(at_));
      return std::nullopt;
    }
    const GifFrame& frame = frames_[at_];
    if (at_ == 0) canvas_ = Image(info_.width, info_.height, 4);
    dispose();
    if (frame.disposal == 3) kept_ = canvas_;
    lay_on(canvas_, picture(frame), std::min(frame.left, info_.width), std::min(frame.top, info_.height),
           true);
    ++at_;
    return has_alpha_ ? canvas_ : canvas_.to_channels(3);
  }

 private:
  /// What the frame before leaves behind.
  void dispose() {
    if (at_ == 0) return;
    const GifFrame& before = frames_[at_ - 1];
    if (before.disposal == 2) clear_on(canvas_, before.left, before.top, before.width, before.height);
    if (before.disposal == 3) canvas_ = kept_;
  }

  Image picture(const GifFrame& frame) const {
    std::vector<std::uint8_t> indices(static_cast<std::size_t>(frame.width * frame.height));
    const PictureFile file{bytes_.bytes, name_};
    expand_gif_codes(file, file_.substr(frame.codes), indices);
    std::array<std::array<std::uint8_t, 4>, 256> colours{};
    const std::size_t size = frame.palette == 0 ? 0 : std::size_t{2} << (frame.flags & 7);
    for (std::size_t i = 0; i < 256; ++i) {
      colours[i].fill(static_cast<std::uint8_t>(frame.palette == 0 ? i : 0));
      for (std::size_t c = 0; i < size && c < 3; ++c)
        colours[i][c] = static_cast<std::uint8_t>(file_[frame.palette + 3 * i + c]);
      colours[i][3] = frame.transparent == static_cast<int>(i) ? 0 : 255;
    }
    Image image(frame.width, frame.height, 4);
    const auto rows = gif_rows(frame.height, (frame.flags & 64) != 0);
    auto index = indices.begin();
    for (const Index row : rows) {
      std::uint8_t* to = image.pixels().data() + row * frame.width * 4;
      for (Index x = 0; x < frame.width; ++x) to = std::ranges::copy(colours[*index++], to).out;
    }
    return image;
  }

  /// Finds every frame; false where the file ends too soon.
  bool scan() {
    if (!has(13)) return false;
    at_byte_ = 6;
    info_.width = number();
    info_.height = number();
    const unsigned flags = byte();
    at_byte_ += 2;
    PictureFile{bytes_.bytes, name_}.check_size(info_.width, info_.height);
    std::size_t palette = 0;
    if ((flags & 128) != 0) {
      palette = at_byte_;
      if (!skip(std::size_t{6} << (flags & 7))) return false;
    }
    GifFrame frame;
    std::uint32_t delay = 0;
    while (has(1)) {
      const unsigned what = byte();
      if (what == ';') return true;
      if (what == '!') {
        if (!read_extension(frame, delay)) return false;
      } else if (what == ',') {
        if (!read_frame(frame, palette, flags)) return false;
        note(frame);
        delays_.push_back(delay);
        frame = {};
        delay = 0;
      }
    }
    return false;
  }

  bool read_extension(GifFrame& frame, std::uint32_t& delay) {
    if (!has(1)) return false;
    const unsigned kind = byte();
    const bool is_text = kind == 0xFE;
    if (is_text) info_.text.clear();
    for (bool is_first = true; has(1); is_first = false) {
      const std::size_t size = byte();
      if (size == 0) return true;
      if (!has(size)) return false;
      const std::string_view block = file_.substr(at_byte_, size);
      at_byte_ += size;
      const auto at = [&](std::size_t i) { return static_cast<unsigned char>(block[i]); };
      if (kind == 0xF9 && is_first && size >= 4) {
        frame.disposal = at(0) >> 2 & 7;
        frame.transparent = (at(0) & 1) != 0 ? at(3) : -1;
        delay = static_cast<std::uint32_t>(at(1) | at(2) << 8);
      }
      if (is_text && info_.text.size() < gif_text_limit) info_.text += block;
    }
    return false;
  }

  bool read_frame(GifFrame& frame, std::size_t palette, unsigned flags) {
    if (!has(9)) return false;
    frame.left = number();
    frame.top = number();
    frame.width = number();
    frame.height = number();
    const unsigned own = byte();
    const bool has_own = (own & 128) != 0;
    frame.flags = (own & 64) | ((has_own ? own : flags) & 7);
    frame.palette = has_own ? at_byte_ : palette;
    if (has_own && !skip(std::size_t{6} << (own & 7))) return false;
    PictureFile{bytes_.bytes, name_}.check_size(frame.width, frame.height);
    frame.codes = at_byte_;
    if (!skip(1)) return false;
    while (has(1)) {
      const std::size_t size = byte();
      if (size == 0) return true;
      if (!skip(size)) return false;
    }
    return false;
  }

  void note(const GifFrame& frame) {
    const bool covers =
        frame.left == 0 && frame.top == 0 && frame.width >= info_.width && frame.height >= info_.height;
    const bool is_cleared = frames_.empty() || frames_.back().disposal == 2;
    if (is_cleared && (!covers || frame.transparent >= 0)) has_alpha_ = true;
    frames_.push_back(frame);
  }

  bool has(std::size_t count) const { return file_.size() - at_byte_ >= count; }
  bool skip(std::size_t count) {
    if (!has(count)) return false;
    at_byte_ += count;
    return true;
  }
  unsigned byte() { return static_cast<unsigned char>(file_[at_byte_++]); }
  Index number() {
    const unsigned low = byte();
    return byte() << 8 | low;
  }

  std::filesystem::path path_;
  FileBytes bytes_;
  std::string name_;
  std::string_view file_;
  std::size_t at_byte_ = 0;
  std::vector<GifFrame> frames_;
  std::vector<std::uint32_t> delays_;
  bool is_whole_ = false, has_alpha_ = false;
  std::size_t at_ = 0;
  Image canvas_, kept_;
};

}  // namespace

FilmEncoder write_gif_film(const std::filesystem::path& path, const FilmOptions& options) {
  if (options.frame_rate > 50.0)
    throw ArgumentError(
        film_name,
        path.string() + ": GIF films show at most 50 frames a second; APNG, WebP, Y4M and MP4 more");
  return std::make_unique<GifFilmWriter>(path, options);
}

FilmDecoder read_gif_film(const std::filesystem::path& path) {
  return std::make_unique<GifFilmReader>(path);
}

}  // namespace daguerre
