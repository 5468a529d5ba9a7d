#include "daguerre/media/film.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "media/bytes.hpp"
#include "media/film_file.hpp"
#include "media/png_chunks.hpp"

namespace daguerre {
namespace {

using MakeEncoder = FilmEncoder (*)(const std::filesystem::path&, const FilmOptions&);
using MakeDecoder = FilmDecoder (*)(const std::filesystem::path&);

#if DAGUERRE_HAS_WEBP
constexpr bool has_webp = true;
constexpr MakeEncoder webp_encoder = write_webp_film;
constexpr MakeDecoder webp_decoder = read_webp_film;
#else
constexpr bool has_webp = false;
constexpr MakeEncoder webp_encoder = nullptr;
constexpr MakeDecoder webp_decoder = nullptr;
#endif
#if DAGUERRE_HAS_LIBAV
constexpr bool has_libav = true;
constexpr auto libav_encoder = write_with_libav;
constexpr auto libav_decoder = read_with_libav;
#else
constexpr bool has_libav = false;
constexpr FilmEncoder (*libav_encoder)(const std::filesystem::path&, const FilmOptions&,
                                       std::string_view) = nullptr;
constexpr FilmDecoder (*libav_decoder)(const std::filesystem::path&, std::string_view,
                                       std::string_view) = nullptr;
#endif

/// A format: what writes it and reads it, or how libavformat calls it.
struct FilmKind {
  std::string_view name, extensions;
  MakeEncoder encode;
  MakeDecoder decode;
  std::string_view muxer, demuxer;
  bool to_stdout;
};

constexpr std::array film_kinds{
    FilmKind{"PNG sequence", "", write_png_sequence, read_sequence, "", "", false},
    FilmKind{"GIF", ".gif", write_gif_film, read_gif_film, "", "", true},
    FilmKind{"APNG", ".png .apng", write_apng, read_apng, "", "", false},
    FilmKind{"WebP", ".webp", webp_encoder, webp_decoder, "", "", false},
    FilmKind{"Y4M", ".y4m", write_y4m, read_y4m, "", "", true},
    FilmKind{"MP4", ".mp4 .m4v", nullptr, nullptr, "mp4", "mov", false},
    FilmKind{"QuickTime", ".mov", nullptr, nullptr, "mov", "mov", false},
    FilmKind{"Matroska", ".mkv", nullptr, nullptr, "matroska", "matroska", false},
    FilmKind{"WebM", ".webm", nullptr, nullptr, "webm", "matroska", false},
    FilmKind{"AVI", ".avi", nullptr, nullptr, "avi", "avi", false}};

constexpr bool is_there(const FilmKind& kind) {
  return kind.muxer.empty() ? kind.encode != nullptr : has_libav;
}
constexpr std::string_view library_of(const FilmKind& kind) {
  return !kind.muxer.empty() ? "libavformat" : kind.name == "WebP" ? "libwebp" : "";
}

/// "this build has no libwebp (CMake's option DAGUERRE_WITH_WEBP)"
std::string lack_of(std::string_view library) {
  return "this build has no " + std::string(library) + " (CMake's option " +
         (library == "libwebp" ? "DAGUERRE_WITH_WEBP" : "DAGUERRE_WITH_FFMPEG") + ")";
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool has_extension(const FilmKind& kind, const std::string& extension) {
  const std::string all = " " + std::string(kind.extensions) + " ";
  return !extension.empty() && all.find(" " + extension + " ") != all.npos;
}

/// ".gif, .png, …", of those that this build writes.
std::string known_extensions() {
  std::string text;
  for (const auto& kind : film_kinds) {
    if (!is_there(kind) || kind.extensions.empty()) continue;
    if (!text.empty()) text += " ";
    text += kind.extensions;
  }
  return text;
}

const FilmKind& kind_to_write(const std::filesystem::path& path, const std::string& format) {
  const auto extension = lower(path.extension().string());
  const bool is_stdout = path == "-";
  std::error_code error;
  const bool is_folder =
      !path.has_filename() || extension.empty() || std::filesystem::is_directory(path, error);
  const auto found = std::ranges::find_if(film_kinds, [&](const FilmKind& kind) {
    if (!format.empty()) return kind.name == format;
    if (is_stdout) return kind.name == "Y4M";
    return is_folder ? kind.extensions.empty() : has_extension(kind, extension);
  });
  const std::string who = is_stdout ? "standard output" : path.string();
  if (path.empty()) throw ArgumentError(film_name, "expected the name of a film's file, found nothing");
  if (found == film_kinds.end())
    throw ArgumentError(film_name, who + ": films are written as " + known_extensions() +
                                       ", or as pictures into a folder (a name without an extension)");
  if (!is_there(*found))
    throw ArgumentError(film_name, who + ": to write " + std::string(found->name) + ", " +
                                       lack_of(library_of(*found)) + "; without it " + known_extensions());
  if (is_stdout && !found->to_stdout)
    throw ArgumentError(film_name, "a film of format " + std::string(found->name) +
                                       " cannot go to standard output, Y4M and GIF can");
  return *found;
}

FilmEncoder encoder_for(const std::filesystem::path& path, const FilmOptions& options) {
  const auto within = [&](double value, double least, double most, const char* what) {
    if (!(value >= least && value <= most)) throw ArgumentError(film_name, path.string() + ": " + what);
  };
  within(options.frame_rate, 0.01, 1000.0, "a film has 0.01 to 1000 frames a second");
  within(options.quality, 0, 100, "a film's quality is 0 to 100");
  within(options.loops, 0, 65535, "a film is shown 0 (again and again) to 65535 times");
  const auto& kind = kind_to_write(path, options.format);
  return kind.muxer.empty() ? kind.encode(path, options) : libav_encoder(path, options, kind.muxer);
}

/// What a file begins with.
struct Beginning {
  std::string bytes;
  bool has(std::size_t at, std::string_view text) const {
    return bytes.size() > at && std::string_view(bytes).substr(at).starts_with(text);
  }
};

/// Whether a PNG file is an animation: a chunk acTL ahead of the picture.
bool is_apng(const std::filesystem::path& path) {
  std::FILE* const file = std::fopen(path.string().c_str(), "rb");
  if (file == nullptr) return false;
  bool found = false;
  std::array<char, 8> header{};
  for (long at = 8; std::fseek(file, at, SEEK_SET) == 0 && std::fread(header.data(), 1, 8, file) == 8;) {
    const std::string_view text(header.data(), header.size());
    found = text.substr(4) == "acTL";
    if (found || text.substr(4) == "IDAT" || text.substr(4) == "IEND") break;
    at += static_cast<long>(big_endian(text) + png_chunk_frame);
  }
  std::fclose(file);
  return found;
}

/// What a file is found to be.
struct FoundFilm {
  std::string_view format{};  ///< empty: nothing that is known here
  MakeDecoder decode = nullptr;
  std::string_view demuxer{};  ///< libavformat's name, where that reads it
};

FoundFilm found_film(const std::filesystem::path& path, const Beginning& start) {
  if (start.has(0, "GIF8")) return {"GIF", read_gif_film};
  if (start.has(0, "YUV4MPEG2")) return {"Y4M", read_y4m};
  if (start.has(0, png_signature) && is_apng(path)) return {"APNG", read_apng};
  const bool is_animated_webp =
      start.has(8, "WEBPVP8X") && (start.bytes.size() > 20 && (start.bytes[20] & 2) != 0);
  if (is_animated_webp && has_webp) return {"WebP", webp_decoder};
  // A picture, unless it is one only by the family of its container.
  if (const auto picture = image_format(std::as_bytes(std::span(start.bytes))); !picture.empty())
    return {picture};
  if (start.has(4, "ftypqt") || start.has(4, "moov") || start.has(4, "mdat") || start.has(4, "wide"))
    return {"QuickTime", nullptr, "mov"};
  if (start.has(4, "ftyp")) return {"MP4", nullptr, "mov"};
  if (start.has(0, "\x1A\x45\xDF\xA3"))
    return {start.bytes.find("webm") != start.bytes.npos ? "WebM" : "Matroska", nullptr, "matroska"};
  if (start.has(0, "RIFF") && start.has(8, "AVI ")) return {"AVI", nullptr, "avi"};
  if (start.has(0, "OggS")) return {"Ogg", nullptr, "ogg"};
  if (start.has(0, "FLV")) return {"Flash video", nullptr, "flv"};
  if (start.has(0, std::string_view("\0\0\1\xBA", 4))) return {"MPEG", nullptr, "mpeg"};
  return {};
}

Beginning beginning_of(const std::filesystem::path& path) {
  std::FILE* const file = std::fopen(path.string().c_str(), "rb");
  if (file == nullptr)
    throw FileError(film_name, path.string() + ": cannot be read: " + std::generic_category().message(errno),
                    path);
  Beginning start{std::string(64, '\0')};
  start.bytes.resize(std::fread(start.bytes.data(), 1, start.bytes.size(), file));
  std::fclose(file);
  return start;
}

FilmDecoder decoder_for(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return read_sequence(path);
  const auto start = beginning_of(path);
  if (start.bytes.empty()) throw film_error(path, "is empty");
  const auto found = found_film(path, start);
  if (found.format.empty())
    throw film_error(path, "is not a film that is known here; expected " + known_extensions() +
                               ", another picture, or a folder of pictures");
  if (found.decode != nullptr) return found.decode(path);
  if (found.demuxer.empty()) return read_single_picture(path, found.format);
  if (!has_libav)
    throw film_error(path, "is a film in " + std::string(found.format) + ", and " + lack_of("libavformat"));
  return libav_decoder(path, found.demuxer, found.format);
}

}  // namespace

std::span<const FilmFormat> film_formats() noexcept {
  static constexpr auto formats = [] {
    std::array<FilmFormat, film_kinds.size()> result{};
    for (std::size_t i = 0; i < result.size(); ++i) {
      const auto& kind = film_kinds[i];
      result[i] = {kind.name, kind.extensions, is_there(kind), library_of(kind)};
    }
    return result;
  }();
  return formats;
}

std::string_view film_format(const std::filesystem::path& path) {
  return found_film(path, beginning_of(path)).format;
}

FilmWriter::FilmWriter(const std::filesystem::path& path, const FilmOptions& options)
    : encoder_(encoder_for(path, options)) {}
FilmWriter::FilmWriter(FilmWriter&&) noexcept = default;
FilmWriter& FilmWriter::operator=(FilmWriter&&) noexcept = default;
FilmWriter::~FilmWriter() = default;

void FilmWriter::write(const Image& frame) {
  if (!encoder_) throw ArgumentError(film_name, "a frame was written to a film that is finished");
  if (frame.empty()) throw ArgumentError(film_name, "a frame of the film is empty");
  if (frames_ == 0) {
    width_ = frame.width();
    height_ = frame.height();
  }
  if (frame.width() != width_ || frame.height() != height_)
    throw ArgumentError(film_name, "frame " + std::to_string(frames_) + " is " +
                                       std::to_string(frame.width()) + " x " +
                                       std::to_string(frame.height()) + ", the film " +
                                       std::to_string(width_) + " x " + std::to_string(height_));
  encoder_->write(frame);
  ++frames_;
}

void FilmWriter::finish() {
  if (!encoder_) return;
  if (frames_ == 0) throw ArgumentError(film_name, "a film of no frames was to be written");
  encoder_->finish();
  encoder_.reset();
}

FilmReader::FilmReader(const std::filesystem::path& path)
    : decoder_(naming(path, [&] { return decoder_for(path); })) {}
FilmReader::FilmReader(FilmReader&&) noexcept = default;
FilmReader& FilmReader::operator=(FilmReader&&) noexcept = default;
FilmReader::~FilmReader() = default;

Expected<FilmReader> FilmReader::try_open(const std::filesystem::path& path) noexcept {
  return attempt([&] { return FilmReader(path); });
}

const FilmInfo& FilmReader::info() const noexcept {
  return decoder_->info();
}

std::optional<Image> FilmReader::next() {
  return decoder_->next();
}

std::optional<std::int64_t> FilmReader::count_rest() {
  return decoder_->count_rest();
}

std::vector<Image> FilmReader::take(std::size_t count) {
  std::vector<Image> frames;
  while (frames.size() < count) {
    auto frame = next();
    if (!frame) break;
    frames.push_back(*std::move(frame));
  }
  return frames;
}

}  // namespace daguerre
