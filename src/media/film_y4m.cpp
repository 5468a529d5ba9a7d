#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

#include "daguerre/core/error.hpp"
#include "media/film_file.hpp"
#include "media/picture_file.hpp"
#include "media/yuv.hpp"

// YUV4MPEG2 streams (mjpegtools): a line about the film, then for each frame a line and its planes.

namespace daguerre {
namespace {

constexpr std::string_view y4m_magic = "YUV4MPEG2", y4m_frame = "FRAME";
// Readers take short lines only (libavformat: 80 bytes of a frame's), so settings go in pieces: each frame's
// line has the next one, "XDG=n/count:text" encoded as in URLs, as long as there are any and there are
// frames.
constexpr std::string_view y4m_piece_tag = " XDG=";
constexpr std::size_t y4m_piece_size = 58, y4m_line_limit = 1024, y4m_most_pieces = 9999;
constexpr std::int64_t y4m_largest_rate_part = 1'000'000;

/// Spaces as "+", what is no printable ASCII, "+" and "%" by their numbers.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 0x7F && c != '%' && c != '+') {
      result += c == ' ' ? '+' : c;
      continue;
    }
    result += '%';
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

class Y4mWriter : public FilmWriter::Encoder {
 public:
  Y4mWriter(const std::filesystem::path& path, const FilmOptions& options)
      : output_(path), options_(options), text_(percent_encoded(options.text)) {
    layout_.columns = layout_.rows = options.full_chroma ? 1 : 2;
    layout_.full_range = options.full_range;
    pieces_ = std::min(y4m_most_pieces, (text_.size() + y4m_piece_size - 1) / y4m_piece_size);
  }

  void write(const Image& frame) override {
    std::string text;
    if (count_ == 0) {
      const auto rate = nearest_fraction(options_.frame_rate, y4m_largest_rate_part);
      text = std::string(y4m_magic) + " W" + std::to_string(frame.width()) + " H" +
             std::to_string(frame.height()) + " F" + std::to_string(rate.p) + ":" + std::to_string(rate.q) +
             " Ip A1:1 " + (options_.full_chroma ? "C444" : "C420jpeg") +
             " XCOLORRANGE=" + (options_.full_range ? "FULL" : "LIMITED") + "\n";
    }
    text += y4m_frame;
    if (count_ < pieces_)
      text += std::string(y4m_piece_tag) + std::to_string(count_ + 1) + "/" + std::to_string(pieces_) + ":" +
              text_.substr(count_ * y4m_piece_size, y4m_piece_size);
    output_.put(text + "\n");
    output_.put(to_yuv(without_alpha(frame), layout_));
    ++count_;
  }

  void finish() override { output_.finish(); }

 private:
  FilmOutput output_;
  FilmOptions options_;
  YuvLayout layout_;
  std::string text_;
  std::size_t pieces_ = 0, count_ = 0;
};

/// What is closed at the end.
struct FileClose {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class Y4mReader : public FilmReader::Decoder {
 public:
  explicit Y4mReader(const std::filesystem::path& path)
      : path_(path), file_(std::fopen(path.string().c_str(), "rb")) {
    if (file_ == nullptr)
      throw FileError(film_name,
                      path.string() + ": cannot be read: " + std::generic_category().message(errno), path);
    info_.format = "Y4M";
    read_header();
    read_settings();
    const auto header = static_cast<std::uintmax_t>(first_);
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    if (error || size <= header) throw film_error(path_, "there is no frame in this Y4M film");
  }

  std::optional<Image> next() override {
    const auto line = read_line();
    if (!line) return std::nullopt;
    check_frame(*line);
    planes_.resize(layout_.bytes(info_.width, info_.height));
    if (std::fread(planes_.data(), 1, planes_.size(), file_.get()) != planes_.size()) cut_short();
    ++at_;
    return from_yuv(planes_, info_.width, info_.height, layout_);
  }

  std::optional<std::int64_t> count_rest() override {
    const auto frame = static_cast<long>(layout_.bytes(info_.width, info_.height));
    const std::int64_t before = at_;
    while (const auto line = read_line()) {
      check_frame(*line);
      // One may go past the end of a file, but not read there.
      if (std::fseek(file_.get(), frame - 1, SEEK_CUR) != 0 || std::fgetc(file_.get()) == EOF) cut_short();
      ++at_;
    }
    return at_ - before;
  }

 private:
  [[noreturn]] void cut_short() const {
    throw film_error(path_, "the Y4M film is cut short behind frame " + std::to_string(at_));
  }

  /// A line without its end; nothing at the end of the file.
  std::optional<std::string> read_line() {
    std::string line;
    for (int c = std::fgetc(file_.get()); c != '\n'; c = std::fgetc(file_.get())) {
      if (c == EOF && line.empty()) return std::nullopt;
      if (c == EOF) cut_short();
      if (line.size() == y4m_line_limit)
        throw film_error(path_, "a line of the Y4M film is longer than 1024 bytes");
      line += static_cast<char>(c);
    }
    return line;
  }

  void check_frame(const std::string& line) const {
    if (!line.starts_with(y4m_frame) || (line.size() > y4m_frame.size() && line[y4m_frame.size()] != ' '))
      throw film_error(path_, "expected FRAME behind frame " + std::to_string(at_) + " of the Y4M film");
  }

  std::int64_t number(std::string_view text) const {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 1'000'000'000)
      throw film_error(path_, "the Y4M film's header is malformed");
    return value;
  }

  void read_header() {
    const std::string line = read_line().value_or("");
    std::string_view rest = line;
    rest.remove_prefix(std::min(y4m_magic.size(), rest.size()));
    std::string_view chroma = "420jpeg";
    while (!rest.empty()) {
      rest.remove_prefix(1);  // a space
      const auto field = rest.substr(0, rest.find(' '));
      rest.remove_prefix(field.size());
      if (field.empty()) continue;
      const auto value = field.substr(1);
      const std::size_t colon = value.find(':');
      if (field[0] == 'W') info_.width = number(value);
      if (field[0] == 'H') info_.height = number(value);
      if (field[0] == 'C') chroma = value;
      if (field == "XCOLORRANGE=FULL") layout_.full_range = true;
      if (field[0] == 'F' && colon != value.npos) {
        const auto p = number(value.substr(0, colon)), q = number(value.substr(colon + 1));
        info_.frame_rate = q == 0 ? 0.0 : static_cast<double>(p) / static_cast<double>(q);
      }
    }
    set_chroma(chroma);
    PictureFile{{}, name_ = path_.string()}.check_size(info_.width, info_.height);
    first_ = std::ftell(file_.get());
  }

  void set_chroma(std::string_view name) {
    struct Known {
      std::string_view name;
      Index columns, rows;
    };
    constexpr std::array known{Known{"420jpeg", 2, 2}, Known{"420mpeg2", 2, 2}, Known{"420paldv", 2, 2},
                               Known{"420", 2, 2},     Known{"422", 2, 1},      Known{"444", 1, 1},
                               Known{"411", 4, 1},     Known{"440", 1, 2},      Known{"mono", 0, 0}};
    const auto found = std::ranges::find(known, name, &Known::name);
    if (found == known.end())
      throw film_error(
          path_, "the Y4M film is of kind C" + std::string(name.substr(0, 20)) +
                     "; expected 8 bits: C420jpeg, C420mpeg2, C420paldv, C422, C444, C440, C411 or Cmono");
    layout_.columns = found->columns;
    layout_.rows = found->rows;
  }

  /// The settings' pieces, from the frames' lines; then back to the first frame.
  void read_settings() {
    std::string text;
    for (std::size_t piece = 1, count = 1; piece <= count; ++piece) {
      std::optional<std::string> line;
      try {
        line = read_line();
      } catch (const FormatError&) {  // is told when that frame is read
      }
      const auto at = line ? line->find(y4m_piece_tag) : std::string::npos;
      const auto slash = at == std::string::npos ? at : line->find('/', at),
                 colon = slash == std::string::npos ? slash : line->find(':', slash);
      if (colon == std::string::npos) break;
      const std::string_view all = std::string_view(*line).substr(slash + 1, colon - slash - 1);
      std::from_chars(all.data(), all.data() + all.size(), count);
      count = std::min(count, y4m_most_pieces);
      text += line->substr(colon + 1, line->find(' ', colon) - colon - 1);
      std::fseek(file_.get(), static_cast<long>(layout_.bytes(info_.width, info_.height)), SEEK_CUR);
    }
    info_.text = percent_decoded(text);
    std::clearerr(file_.get());
    std::fseek(file_.get(), first_, SEEK_SET);
  }

  std::filesystem::path path_;
  std::string name_;
  std::unique_ptr<std::FILE, FileClose> file_;
  YuvLayout layout_;
  long first_ = 0;
  std::vector<std::uint8_t> planes_;
  std::int64_t at_ = 0;
};

}  // namespace

FilmEncoder write_y4m(const std::filesystem::path& path, const FilmOptions& options) {
  return std::make_unique<Y4mWriter>(path, options);
}

FilmDecoder read_y4m(const std::filesystem::path& path) {
  return std::make_unique<Y4mReader>(path);
}

}  // namespace daguerre
