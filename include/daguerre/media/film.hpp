#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/expected.hpp"
#include "daguerre/media/image.hpp"

namespace daguerre {

/// A kind of film files, as `film_formats` tells of it.
struct FilmFormat {
  std::string_view name;        ///< "GIF", "APNG", "WebP", "Y4M", "PNG sequence", "MP4" …
  std::string_view extensions;  ///< with their dots, spaces between: ".mp4 .m4v"; empty: a folder
  bool is_available = false;    ///< read and written by this build
  std::string_view library;     ///< that does it; empty: the library's own code
};

/// The kinds of film files that this library knows, whether they were compiled in or not.
std::span<const FilmFormat> film_formats() noexcept;

/// What a film's file is to be.
struct FilmOptions {
  double frame_rate = 8.0;  ///< frames a second, 0.01 to 1000; of GIF up to 50
  /// Settings that travel in the file, UTF-8 (infotext.hpp): PNG text "parameters", GIF's comment, WebP's
  /// EXIF UserComment, pieces in Y4M's frame headers, "comment" in the metadata of MP4, WebM and MKV.
  std::string text{};
  std::string format{};  ///< a name of `film_formats`; empty: as the path says
  /// 0 to 100, of WebP (100: lossless) and of libavcodec's encoders.
  int quality = 80;
  /// libavcodec's name of an encoder; empty: libx264, mpeg4 …, of WebM libvpx-vp9 or libvpx, by what is
  /// there.
  std::string codec{};
  bool full_chroma = false;  ///< Y4M: 4:4:4 in the place of 4:2:0
  bool full_range = false;   ///< Y4M: luma 0 to 255 in the place of 16 to 235
  int loops = 0;             ///< GIF, APNG, WebP: how often it is shown; 0: again and again
};

/// Writes a film frame by frame; what was given is in the file, not in memory. A file appears under its name
/// when it is finished, whole; one that is not finished is removed. The pictures of a folder are there as
/// they are written, and removed, too, if they are not finished.
///
///     FilmWriter film("fox.gif", {.frame_rate = 8.0});
///     for (const Image& frame : result.film()) film.write(frame);
///     film.finish();
class FilmWriter {
 public:
  /// The format follows from the path: .gif, .png and .apng (APNG), .webp, .y4m, .mp4, .mkv, .webm, .mov,
  /// .avi; a path without an extension is the folder of a PNG sequence (00000.png …), made where it is not
  /// there; "-" is standard output, as Y4M or GIF. Throws ArgumentError for another path or options out of
  /// range, naming what would do; FileError where it cannot be written.
  explicit FilmWriter(const std::filesystem::path& path, const FilmOptions& options = {});
  FilmWriter(FilmWriter&&) noexcept;
  FilmWriter& operator=(FilmWriter&&) noexcept;
  ~FilmWriter();

  /// Adds a frame, of 1, 3 or 4 channels; formats without alpha show it over white. Throws ArgumentError for
  /// an empty frame or one of another size than the first, FileError where the file cannot be written.
  void write(const Image& frame);
  /// Writes what ends the file and gives it its name. Throws ArgumentError where there was no frame,
  /// FileError.
  void finish();
  /// How many have been written.
  std::int64_t frames() const noexcept { return frames_; }

  /// What is behind it: an encoder of one format.
  class Encoder;

 private:
  std::unique_ptr<Encoder> encoder_;
  Index width_ = 0, height_ = 0;
  std::int64_t frames_ = 0;
};

/// What a film's file says of itself.
struct FilmInfo {
  std::string_view format;  ///< as `film_formats` calls it, or a picture's format: a film of one frame
  Index width = 0, height = 0;
  double frame_rate = 0.0;                 ///< frames a second, on average; 0: it does not say
  std::optional<std::int64_t> frames = {}; /**< how many, where it is known ahead */
  std::string text{};                      ///< its settings, UTF-8; empty: none
};

/// The format of a film's or picture's file by what it begins with, as FilmInfo::format calls it; empty: none
/// that is known here. Throws FileError where it cannot be read.
std::string_view film_format(const std::filesystem::path& path);

/// Reads a film frame by frame, one of them in memory at a time: GIF, APNG, WebP, Y4M, what libavformat reads
/// where that was compiled in, a folder of pictures in the order of their numbers, or a picture, which is a
/// film of one frame. Files are told apart by their content.
class FilmReader {
 public:
  /// Throws FileError, or FormatError naming the file and what is wrong: empty, cut short, malformed, larger
  /// than an Image may be, or in need of a library that this build has not.
  explicit FilmReader(const std::filesystem::path& path);
  static Expected<FilmReader> try_open(const std::filesystem::path& path) noexcept;
  FilmReader(FilmReader&&) noexcept;
  FilmReader& operator=(FilmReader&&) noexcept;
  ~FilmReader();

  const FilmInfo& info() const noexcept;
  /// The next frame as it is shown, of 3 channels (grey ones are spread), or 4 where the film has
  /// transparency; nothing behind the last. Throws FormatError as the constructor does.
  std::optional<Image> next();
  /// The next `count` frames, or as many as there are.
  std::vector<Image> take(std::size_t count);
  /// Goes through what is left of the film, decoding no more than that takes, and tells how many frames it
  /// is; nothing where only decoding all of it would tell. Throws FormatError as `next` does: so a film that
  /// is cut short is found out. Behind it there is no next frame.
  std::optional<std::int64_t> count_rest();

  /// What is behind it: a decoder of one format.
  class Decoder;

 private:
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace daguerre
