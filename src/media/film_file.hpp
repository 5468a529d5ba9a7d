#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "daguerre/media/film.hpp"

/// What the formats of films share, and the makers of their encoders and decoders.
namespace daguerre {

inline constexpr const char* film_name = "film";

class FilmWriter::Encoder {
 public:
  virtual ~Encoder() = default;
  /// All frames have the size of the first one.
  virtual void write(const Image& frame) = 0;
  virtual void finish() = 0;
};

class FilmReader::Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::optional<Image> next() = 0;
  virtual std::optional<std::int64_t> count_rest() {
    std::int64_t count = 0;
    while (next()) ++count;
    return count;
  }
  const FilmInfo& info() const noexcept { return info_; }

 protected:
  FilmInfo info_;
};

using FilmEncoder = std::unique_ptr<FilmWriter::Encoder>;
using FilmDecoder = std::unique_ptr<FilmReader::Decoder>;

/// A file that gets its name when it is finished, and is removed if it is not; or standard output.
class FilmOutput {
 public:
  explicit FilmOutput(const std::filesystem::path& path);
  FilmOutput(const FilmOutput&) = delete;
  FilmOutput& operator=(const FilmOutput&) = delete;
  ~FilmOutput();

  bool is_seekable() const noexcept { return !is_stdout_; }
  void put(std::string_view bytes);
  /// Writes over what stands at `position`, of files that are no pipes.
  void put_at(std::uint64_t position, std::string_view bytes);
  std::uint64_t size() const noexcept { return size_; }
  void finish();

 private:
  [[noreturn]] void fail(const std::string& reason) const;

  std::filesystem::path path_, temporary_;
  bool is_stdout_;
  std::FILE* file_ = nullptr;
  std::uint64_t size_ = 0;
};

/// p / q.
struct FilmFraction {
  std::int64_t p = 0, q = 1;
};
/// The fraction nearest to a positive value with p and q up to `limit` (by continued fractions).
FilmFraction nearest_fraction(double value, std::int64_t limit);
/// When frame `n` begins, in ticks, of which there are that many in a second.
std::int64_t frame_time(std::int64_t n, double frame_rate, double ticks_per_second);
/// Frames a second, from what each frame is shown in ticks: the round number that gives those delays by
/// `frame_time`, where there is one; otherwise their average; 0 where they are all 0.
double rate_of_delays(std::span<const std::uint32_t> delays, double ticks_per_second);

/// The part in which two frames of one size differ, in pixels; a single pixel where they are equal.
struct ChangedBox {
  Index left = 0, top = 0, width = 1, height = 1;
};
ChangedBox changed_box(const Image& before, const Image& after);
/// As 3 channels, over white where there is alpha.
Image without_alpha(const Image& frame);
/// Lays a part in RGBA on a canvas in RGBA, cut off at its borders; `blend`: over what is there by its alpha,
/// rounded as PNG's and WebP's specifications have it.
void lay_on(Image& canvas, const Image& part, Index left, Index top, bool blend);
/// Makes a part of a canvas transparent.
void clear_on(Image& canvas, Index left, Index top, Index width, Index height);

/// An error in the name of the file.
FormatError film_error(const std::filesystem::path& path, const std::string& message);

/// Whether a film's file is as long as its container says: Matroska's segments, AVI's lists, MP4's boxes.
/// True of containers that do not say it. Leaves the file at its beginning.
bool is_container_whole(std::FILE* file, std::string_view demuxer);

// Encoders. They throw ArgumentError for options that their format cannot express.
FilmEncoder write_gif_film(const std::filesystem::path& path, const FilmOptions& options);
FilmEncoder write_apng(const std::filesystem::path& path, const FilmOptions& options);
FilmEncoder write_webp_film(const std::filesystem::path& path, const FilmOptions& options);
FilmEncoder write_y4m(const std::filesystem::path& path, const FilmOptions& options);
FilmEncoder write_png_sequence(const std::filesystem::path& path, const FilmOptions& options);
/// `container`: libavformat's name of a muxer.
FilmEncoder write_with_libav(const std::filesystem::path& path, const FilmOptions& options,
                             std::string_view container);

// Decoders. They throw FileError and FormatError.
FilmDecoder read_gif_film(const std::filesystem::path& path);
FilmDecoder read_apng(const std::filesystem::path& path);
FilmDecoder read_webp_film(const std::filesystem::path& path);
FilmDecoder read_y4m(const std::filesystem::path& path);
FilmDecoder read_sequence(const std::filesystem::path& folder);
/// A picture as a film of one frame.
FilmDecoder read_single_picture(const std::filesystem::path& path, std::string_view format);
/// `demuxer`: libavformat's name; `format`: ours.
FilmDecoder read_with_libav(const std::filesystem::path& path, std::string_view demuxer,
                            std::string_view format);

}  // namespace daguerre
