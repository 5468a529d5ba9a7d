#include <algorithm>

#include "core/file_bytes.hpp"
#include "daguerre/core/error.hpp"
#include "media/bytes.hpp"
#include "media/film_file.hpp"
#include "media/picture_file.hpp"
#include "media/png_chunks.hpp"

// Animated PNG files (ISO/IEC 15948:2023, 11.3.6): a PNG picture, which is the first frame, and chunks fcTL
// and fdAT for the others.

namespace daguerre {
namespace {

constexpr std::int64_t apng_limit = 65535;  // of both parts of a delay
constexpr std::size_t frame_control_size = 26;

std::string apng_short(std::int64_t value) {
  return {static_cast<char>(value >> 8 & 0xFF), static_cast<char>(value & 0xFF)};
}

class ApngWriter : public FilmWriter::Encoder {
 public:
  ApngWriter(const std::filesystem::path& path, const FilmOptions& options)
      : output_(path), options_(options), rate_(nearest_fraction(options.frame_rate, apng_limit)) {}

  void write(const Image& given) override {
    if (before_.empty()) channels_ = given.channels();
    const Image frame = given.to_channels(channels_);
    const bool is_first = before_.empty();
    const auto box = is_first ? ChangedBox{0, 0, frame.width(), frame.height()} : changed_box(before_, frame);
    const Image part = frame.cropped(box.left, box.top, box.width, box.height);
    PngText texts;
    if (is_first && !options_.text.empty()) texts.emplace_back("parameters", options_.text);
    const auto png = part.encode_png(texts);
    std::string_view rest = as_text(png);
    rest.remove_prefix(png_signature.size());
    std::string out(is_first ? png_signature : std::string_view());
    bool has_control = false;
    while (const auto chunk = take_png_chunk(rest)) {
      if (chunk->type == "IEND") break;
      const bool is_data = chunk->type == "IDAT";
      if (is_data && !has_control) {
        out += png_chunk("fcTL", control(box));
        has_control = true;
      }
      if (is_first) {
        out += png_chunk(chunk->type, chunk->data);
        if (chunk->type == "IHDR") {
          control_at_ = output_.size() + out.size();
          out += png_chunk("acTL",
                           big_endian_text(0) + big_endian_text(static_cast<std::uint32_t>(options_.loops)));
        }
      } else if (is_data) {
        out += png_chunk("fdAT", big_endian_text(sequence_++) + std::string(chunk->data));
      }
    }
    output_.put(out);
    before_ = frame;
    ++frames_;
  }

  void finish() override {
    output_.put(png_chunk("IEND", ""));
    output_.put_at(control_at_,
                   png_chunk("acTL", big_endian_text(frames_) +
                                         big_endian_text(static_cast<std::uint32_t>(options_.loops))));
    output_.finish();
  }

 private:
  /// How a frame is shown: where, how long; it stays, and takes the place of what was there.
  std::string control(const ChangedBox& box) {
    std::string data = big_endian_text(sequence_++);
    for (const Index value : {box.width, box.height, box.left, box.top})
      data += big_endian_text(static_cast<std::uint32_t>(value));
    return data + apng_short(rate_.q) + apng_short(rate_.p) + std::string(2, '\0');
  }

  FilmOutput output_;
  FilmOptions options_;
  FilmFraction rate_;
  Index channels_ = 3;
  Image before_;
  std::uint64_t control_at_ = 0;
  std::uint32_t sequence_ = 0, frames_ = 0;
};

struct ApngFrame {
  Index left = 0, top = 0, width = 0, height = 0;
  int disposal = 0;
  bool blend = false;
  double seconds = 0.0;
  std::vector<std::string_view> data;
};

class ApngReader : public FilmReader::Decoder {
 public:
  explicit ApngReader(const std::filesystem::path& path)
      : path_(path), bytes_(map_file(path, film_name)), name_(path.string()) {
    info_.format = "APNG";
    scan();
    if (frames_.empty()) throw film_error(path_, "the APNG film is cut short before its first frame");
    if (is_whole_) info_.frames = static_cast<std::int64_t>(frames_.size());
    double seconds = 0.0;
    for (const auto& frame : frames_) seconds += frame.seconds;
    if (seconds > 0.0) {
      const auto rate = nearest_fraction(static_cast<double>(frames_.size()) / seconds, apng_limit);
      info_.frame_rate = static_cast<double>(rate.p) / static_cast<double>(rate.q);
    }
    read_text();
  }

  std::optional<Image> next() override {
    if (at_ == frames_.size()) {
      if (is_whole_) return std::nullopt;
      throw film_error(path_, "the APNG film is cut short behind frame " + std::to_string(at_));
    }
    const ApngFrame& frame = frames_[at_];
    if (at_ == 0) {
      canvas_ = Image(info_.width, info_.height, 4);
    } else {
      const ApngFrame& before = frames_[at_ - 1];
      // Of the first frame there is nothing before; PNG's specification says to clear it then.
      if (before.disposal == 1 || (before.disposal == 2 && at_ == 1))
        clear_on(canvas_, before.left, before.top, before.width, before.height);
      else if (before.disposal == 2)
        canvas_ = kept_;
    }
    if (frame.disposal == 2) kept_ = canvas_;
    lay_on(canvas_, picture(frame), frame.left, frame.top, frame.blend);
    ++at_;
    return has_alpha_ ? canvas_ : canvas_.to_channels(3);
  }

 private:
  /// The frame's own picture, from a PNG file of the film's header and the frame's data.
  Image picture(const ApngFrame& frame) const {
    std::string header(header_);
    header.replace(0, 8,
                   big_endian_text(static_cast<std::uint32_t>(frame.width)) +
                       big_endian_text(static_cast<std::uint32_t>(frame.height)));
    std::string file(png_signature);
    file += png_chunk("IHDR", header) + before_data_;
    for (const auto data : frame.data) file += png_chunk("IDAT", data);
    file += png_chunk("IEND", "");
    const Image image = read_png({std::as_bytes(std::span(file)), name_}).to_channels(4);
    if (image.width() != frame.width || image.height() != frame.height)
      throw film_error(path_, "a frame has another size than its header says");
    return image;
  }

  void scan() {
    std::string_view rest = as_text(bytes_.bytes);
    rest.remove_prefix(std::min(png_signature.size(), rest.size()));
    bool is_open = false;  // a frame's data may follow
    while (const auto chunk = take_png_chunk(rest)) {
      const auto [type, data] = std::pair(chunk->type, chunk->data);
      if (type == "IEND") {
        is_whole_ = true;
        break;
      }
      if (type == "IHDR" && data.size() == 13 && header_.empty()) {
        header_ = data;
        info_.width = big_endian(data);
        info_.height = big_endian(data.substr(4));
        PictureFile{bytes_.bytes, name_}.check_size(info_.width, info_.height);
      } else if (header_.empty()) {
        throw film_error(path_, "does not begin with an IHDR chunk");
      } else if (type == "fcTL") {
        add_frame(data);
        is_open = true;
      } else if (type == "IDAT" && is_open) {
        frames_.back().data.push_back(data);
      } else if (type == "fdAT" && is_open && data.size() >= 4) {
        frames_.back().data.push_back(data.substr(4));
      } else if (type == "PLTE" || type == "tRNS") {
        before_data_ += png_chunk(type, data);
        has_alpha_ = has_alpha_ || type == "tRNS";
      } else if (type == "tEXt" || type == "zTXt" || type == "iTXt") {
        text_chunks_ += png_chunk(type, data);
      }
    }
    if (header_.empty()) throw film_error(path_, "the APNG film is cut short");
    if (!frames_.empty() && frames_.back().data.empty()) {
      frames_.pop_back();
      is_whole_ = false;
    }
    has_alpha_ = has_alpha_ || static_cast<unsigned char>(header_[9]) >= 4;
    for (const auto& frame : frames_) {
      const bool covers = frame.width == info_.width && frame.height == info_.height;
      if (frame.data.empty()) throw film_error(path_, "a frame of the APNG film has no picture");
      if (frame.disposal == 1 || (&frame == &frames_.front() && !covers)) has_alpha_ = true;
    }
  }

  void add_frame(std::string_view data) {
    if (data.size() != frame_control_size)
      throw film_error(path_, "a chunk fcTL has another size than 26 bytes");
    const auto number = [&](std::size_t at) { return static_cast<Index>(big_endian(data.substr(at))); };
    const auto part = [&](std::size_t at) { return static_cast<double>(big_endian(data.substr(at)) >> 16); };
    ApngFrame frame{.left = number(12),
                    .top = number(16),
                    .width = number(4),
                    .height = number(8),
                    .disposal = static_cast<unsigned char>(data[24]),
                    .blend = data[25] == 1,
                    .data = {}};
    frame.seconds = part(20) / (part(22) == 0.0 ? 100.0 : part(22));
    if (frame.width < 1 || frame.height < 1 || frame.left + frame.width > info_.width ||
        frame.top + frame.height > info_.height)
      throw film_error(path_, "a frame of the APNG film reaches beyond the picture");
    frames_.push_back(std::move(frame));
  }

  void read_text() {
    const std::string file =
        std::string(png_signature) + png_chunk("IHDR", header_) + text_chunks_ + png_chunk("IEND", "");
    for (const auto& [keyword, text] : decode_png_text(std::as_bytes(std::span(file)), name_))
      if (keyword == "parameters") info_.text = text;
  }

  std::filesystem::path path_;
  FileBytes bytes_;
  std::string name_;
  std::string header_, before_data_, text_chunks_;
  std::vector<ApngFrame> frames_;
  bool is_whole_ = false, has_alpha_ = false;
  std::size_t at_ = 0;
  Image canvas_, kept_;
};

}  // namespace

FilmEncoder write_apng(const std::filesystem::path& path, const FilmOptions& options) {
  return std::make_unique<ApngWriter>(path, options);
}

FilmDecoder read_apng(const std::filesystem::path& path) {
  return std::make_unique<ApngReader>(path);
}

}  // namespace daguerre
