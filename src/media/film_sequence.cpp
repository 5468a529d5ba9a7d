#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "media/exif_comment.hpp"
#include "media/film_file.hpp"
#include "media/picture_file.hpp"

// Films as folders of pictures, and pictures as films of one frame.

namespace daguerre {
namespace {

namespace fs = std::filesystem;

constexpr const char* rate_keyword = "frame_rate";

/// "00012.png".
std::string frame_file(std::int64_t n) {
  auto digits = std::to_string(n);
  if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
  return digits + ".png";
}

/// Grey is spread to RGB.
Image as_film_frame(Image image) {
  return image.channels() == 1 ? image.to_channels(3) : std::move(image);
}

/// The names of the pictures in a folder, in any order. Throws FileError.
std::vector<std::string> pictures_in(const fs::path& folder) {
  constexpr std::array endings{".png", ".jpg",  ".jpeg", ".webp", ".bmp",
                               ".tif", ".tiff", ".ppm",  ".pgm",  ".gif"};
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    auto ending = at->path().extension().string();
    for (char& c : ending)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (std::ranges::find(endings, ending) != endings.end()) names.push_back(at->path().filename().string());
  }
  if (error) throw FileError(film_name, folder.string() + ": cannot be read: " + error.message(), folder);
  return names;
}

class PngSequenceWriter : public FilmWriter::Encoder {
 public:
  PngSequenceWriter(const fs::path& folder, const FilmOptions& options) : folder_(folder), options_(options) {
    std::error_code error;
    is_made_ = fs::create_directory(folder, error);
    if (!fs::is_directory(folder, error))
      throw FileError(film_name, folder.string() + ": cannot be made a folder", folder);
    // Frames of another film would be taken for this one's.
    if (const auto names = pictures_in(folder); !names.empty())
      throw FileError(film_name,
                      folder.string() + ": holds pictures already, as " + names.front() +
                          "; name another folder for the frames",
                      folder);
  }

  /// Frames of a film that was not finished go, as a file of other formats does, and the folder if it was
  /// made for them.
  ~PngSequenceWriter() override {
    if (is_finished_) return;
    std::error_code error;
    for (std::int64_t n = 0; n < count_; ++n) fs::remove(folder_ / frame_file(n), error);
    if (is_made_) fs::remove(folder_, error);
  }

  void write(const Image& frame) override {
    PngText text;
    if (!options_.text.empty()) text.emplace_back("parameters", options_.text);
    char rate[64];
    const auto end = std::to_chars(rate, rate + sizeof rate, options_.frame_rate).ptr;
    text.emplace_back(rate_keyword, std::string(rate, end));
    frame.save_png(folder_ / frame_file(count_++), text);
  }
  void finish() override { is_finished_ = true; }

 private:
  fs::path folder_;
  FilmOptions options_;
  std::int64_t count_ = 0;
  bool is_made_ = false, is_finished_ = false;
};

/// Names in the order of the numbers in them: "2.png" before "10.png".
bool comes_before(const std::string& a, const std::string& b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
      continue;
    }
    const auto number = [&](const std::string& text, std::size_t& at) {
      while (at < text.size() && text[at] == '0') ++at;
      const std::size_t from = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      return std::string_view(text).substr(from, at - from);
    };
    const auto m = number(a, i), n = number(b, j);
    if (m.size() != n.size()) return m.size() < n.size();
    if (m != n) return m < n;
  }
  return a.size() - i != b.size() - j ? a.size() - i < b.size() - j : a < b;
}

/// What a PNG file's texts say of the film that it is a frame of; a malformed one says nothing here.
void read_frame_text(const fs::path& path, FilmInfo& info) {
  try {
    for (const auto& [keyword, text] : read_png_text(path)) {
      if (keyword == "parameters") info.text = text;
      double rate = 0.0;
      if (keyword == rate_keyword &&
          std::from_chars(text.data(), text.data() + text.size(), rate).ec == std::errc() && rate > 0.0)
        info.frame_rate = rate;
    }
  } catch (const FormatError&) {
  }
}

class SequenceReader : public FilmReader::Decoder {
 public:
  explicit SequenceReader(const fs::path& folder) : folder_(folder), names_(pictures_in(folder)) {
    if (names_.empty())
      throw FormatError(film_name, folder.string() + ": there are no pictures in this folder", folder);
    std::ranges::sort(names_, comes_before);
    info_.format = "PNG sequence";
    info_.frames = static_cast<std::int64_t>(names_.size());
    first_ = Image::load(folder_ / names_.front());
    info_.width = first_.width();
    info_.height = first_.height();
    read_frame_text(folder_ / names_.front(), info_);
  }

  std::optional<Image> next() override {
    if (at_ == names_.size()) return std::nullopt;
    const auto path = folder_ / names_[at_];
    Image frame = at_ == 0 ? std::move(first_) : Image::load(path);
    if (frame.width() != info_.width || frame.height() != info_.height)
      throw film_error(path, "is " + std::to_string(frame.width()) + " x " + std::to_string(frame.height()) +
                                 ", the film's first frame is " + std::to_string(info_.width) + " x " +
                                 std::to_string(info_.height));
    ++at_;
    return as_film_frame(std::move(frame));
  }

 private:
  fs::path folder_;
  std::vector<std::string> names_;
  std::size_t at_ = 0;
  Image first_;
};

class SinglePictureReader : public FilmReader::Decoder {
 public:
  SinglePictureReader(const fs::path& path, std::string_view format)
      : image_(as_film_frame(Image::load(path))) {
    info_.format = format;
    info_.width = image_.width();
    info_.height = image_.height();
    info_.frames = 1;
    if (format == "PNG") read_frame_text(path, info_);
  }
  std::optional<Image> next() override {
    if (image_.empty()) return std::nullopt;
    return std::exchange(image_, Image());
  }

 private:
  Image image_;
};

}  // namespace

FilmEncoder write_png_sequence(const fs::path& path, const FilmOptions& options) {
  return std::make_unique<PngSequenceWriter>(path, options);
}

FilmDecoder read_sequence(const fs::path& folder) {
  return std::make_unique<SequenceReader>(folder);
}

FilmDecoder read_single_picture(const fs::path& path, std::string_view format) {
  return std::make_unique<SinglePictureReader>(path, format);
}

}  // namespace daguerre
