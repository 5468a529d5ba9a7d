#include "media/film_file.hpp"

#if DAGUERRE_HAS_WEBP

#include <algorithm>

#include <webp/encode.h>

#include "core/file_bytes.hpp"
#include "daguerre/core/error.hpp"
#include "media/bytes.hpp"
#include "media/exif_comment.hpp"
#include "media/webp_chunks.hpp"

// Animated WebP files (RFC 9649): libwebp codes the pictures; the container is written and read here, so that
// frames go into the file as they come.

namespace daguerre {
namespace {

constexpr double webp_ticks = 1000.0;  // in a second
constexpr int webp_lossless = 100;
constexpr Index webp_largest_side = 16383;

struct WebpFree {
  void operator()(std::uint8_t* memory) const { WebPFree(memory); }
};

class WebpFilmWriter : public FilmWriter::Encoder {
 public:
  WebpFilmWriter(const std::filesystem::path& path, const FilmOptions& options)
      : path_(path), output_(path), options_(options) {}

  void write(const Image& given) override {
    if (before_.empty()) begin(given);
    const Image frame = given.to_channels(channels_);
    auto box =
        before_.empty() ? ChangedBox{0, 0, frame.width(), frame.height()} : changed_box(before_, frame);
    // Frames begin at even places.
    box.width += box.left % 2;
    box.height += box.top % 2;
    box.left -= box.left % 2;
    box.top -= box.top % 2;
    std::string data;
    for (const Index value : {box.left / 2, box.top / 2, box.width - 1, box.height - 1})
      data += little_endian_text(static_cast<std::uint64_t>(value), 3);
    data += little_endian_text(
        static_cast<std::uint64_t>(frame_time(count_ + 1, options_.frame_rate, webp_ticks) -
                                   frame_time(count_, options_.frame_rate, webp_ticks)),
        3);
    data += '\2';  // it takes the place of what was there
    output_.put(webp_chunk("ANMF", data + coded(frame.cropped(box.left, box.top, box.width, box.height))));
    before_ = frame;
    ++count_;
  }

  void finish() override {
    if (!options_.text.empty()) output_.put(webp_chunk("EXIF", exif_with_comment(options_.text)));
    if (output_.size() - webp_chunk_header > 0xFFFFFFFEu)
      throw FileError(film_name, path_.string() + ": is larger than the 4 GB that WebP can be", path_);
    output_.put_at(4, little_endian_text(output_.size() - webp_chunk_header, 4));
    output_.finish();
  }

 private:
  void begin(const Image& frame) {
    if (std::max(frame.width(), frame.height()) > webp_largest_side)
      throw ArgumentError(film_name, path_.string() + ": WebP films are at most 16383 pixels wide and high");
    channels_ = frame.channels() == 4 ? 4 : 3;
    unsigned flags = webp_animation_flag;
    if (channels_ == 4) flags |= webp_alpha_flag;
    if (!options_.text.empty()) flags |= webp_exif_flag;
    output_.put(
        "RIFF" + little_endian_text(0, 4) + "WEBP" +
        webp_chunk("VP8X", little_endian_text(flags, 4) +
                               little_endian_text(static_cast<std::uint64_t>(frame.width() - 1), 3) +
                               little_endian_text(static_cast<std::uint64_t>(frame.height() - 1), 3)) +
        webp_chunk("ANIM", little_endian_text(0, 4) +
                               little_endian_text(static_cast<std::uint64_t>(options_.loops), 2)));
  }

  /// The picture's chunks.
  std::string coded(const Image& image) const {
    const bool has_alpha = image.channels() == 4;
    const auto width = static_cast<int>(image.width()), height = static_cast<int>(image.height());
    const int stride = width * static_cast<int>(image.channels());
    const std::uint8_t* pixels = image.pixels().data();
    std::uint8_t* out = nullptr;
    const std::size_t size =
        options_.quality == webp_lossless
            ? (has_alpha ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB)(pixels, width, height, stride,
                                                                           &out)
            : (has_alpha ? WebPEncodeRGBA : WebPEncodeRGB)(pixels, width, height, stride,
                                                           static_cast<float>(options_.quality), &out);
    const std::unique_ptr<std::uint8_t, WebpFree> owner(out);
    if (size == 0) throw FileError(film_name, path_.string() + ": libwebp cannot code a frame", path_);
    std::string_view rest(reinterpret_cast<const char*>(out), size);
    rest.remove_prefix(webp_header);
    std::string chunks;
    while (const auto chunk = take_webp_chunk(rest))
      if (chunk->type == "ALPH" || chunk->type == "VP8 " || chunk->type == "VP8L") chunks += chunk->whole;
    return chunks;
  }

  std::filesystem::path path_;
  FilmOutput output_;
  FilmOptions options_;
  Index channels_ = 3;
  Image before_;
  std::int64_t count_ = 0;
};

class WebpFilmReader : public FilmReader::Decoder {
 public:
  explicit WebpFilmReader(const std::filesystem::path& path)
      : path_(path), bytes_(map_file(path, film_name)), name_(path.string()) {
    info_.format = "WebP";
    scan();
    if (frames_.empty()) throw film_error(path_, "the WebP film is cut short before its first frame");
    if (is_whole_) info_.frames = static_cast<std::int64_t>(frames_.size());
    std::vector<std::uint32_t> delays;
    for (const auto& frame : frames_) delays.push_back(frame.milliseconds);
    info_.frame_rate = rate_of_delays(delays, webp_ticks);
  }

  std::optional<Image> next() override {
    if (at_ == frames_.size()) {
      if (is_whole_) return std::nullopt;
      throw film_error(path_, "the WebP film is cut short behind frame " + std::to_string(at_));
    }
    const WebpFrame& frame = frames_[at_];
    if (at_ == 0) canvas_ = Image(info_.width, info_.height, 4);
    if (at_ > 0 && frames_[at_ - 1].clears) {
      const auto& before = frames_[at_ - 1];
      clear_on(canvas_, before.left, before.top, before.width, before.height);
    }
    const Image part = decode_webp_part({bytes_.bytes, name_}, frame);
    if (part.width() != frame.width || part.height() != frame.height)
      throw film_error(path_, "a frame has another size than its header says");
    lay_on(canvas_, part, frame.left, frame.top, frame.blend);
    ++at_;
    return has_alpha_ ? canvas_ : canvas_.to_channels(3);
  }

 private:
  void scan() {
    std::string_view rest = as_text(bytes_.bytes);
    const std::size_t claimed = little_endian(rest.substr(4), 4) + webp_chunk_header;
    is_whole_ = rest.size() >= claimed - claimed % 2;
    rest.remove_prefix(std::min(webp_header, rest.size()));
    while (const auto chunk = take_webp_chunk(rest)) {
      const auto data = chunk->data;
      if (chunk->type == "VP8X" && data.size() >= 10) {
        // Frames have been checked against the first one.
        if (info_.width != 0) throw film_error(path_, "the WebP film is damaged: it has two headers");
        has_alpha_ = (static_cast<unsigned char>(data[0]) & webp_alpha_flag) != 0;
        info_.width = Index{1} + little_endian(data.substr(4), 3);
        info_.height = Index{1} + little_endian(data.substr(7), 3);
        PictureFile{bytes_.bytes, name_}.check_size(info_.width, info_.height);
      }
      if (chunk->type == "EXIF") info_.text = exif_comment(data);
      if (chunk->type != "ANMF") continue;
      if (data.size() < webp_frame_header || info_.width == 0)
        throw film_error(path_, "a frame of the WebP film has no header");
      frames_.push_back(read_webp_frame(data));
      const auto& frame = frames_.back();
      if (frame.left + frame.width > info_.width || frame.top + frame.height > info_.height)
        throw film_error(path_, "a WebP frame reaches beyond the picture");
    }
  }

  std::filesystem::path path_;
  FileBytes bytes_;
  std::string name_;
  std::vector<WebpFrame> frames_;
  bool is_whole_ = false, has_alpha_ = false;
  std::size_t at_ = 0;
  Image canvas_;
};

}  // namespace

FilmEncoder write_webp_film(const std::filesystem::path& path, const FilmOptions& options) {
  return std::make_unique<WebpFilmWriter>(path, options);
}

FilmDecoder read_webp_film(const std::filesystem::path& path) {
  return std::make_unique<WebpFilmReader>(path);
}

}  // namespace daguerre

#endif
