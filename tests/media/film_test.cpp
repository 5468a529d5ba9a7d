// Films in files: what is written is read again, damaged files, limits.
#include "daguerre/media/film.hpp"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <fstream>

#include <dlfcn.h>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using namespace daguerre::test;
using namespace std::string_literals;

namespace {

const std::string settings =
    "ein Fuchs läuft — 狐🦊\nSteps: 4, Sampler: ddim, Seed: 1, Frames: 5, FPS: 12";

/// A square that moves over stripes: few colours, and parts that rest.
Image frame_of(Index n, Index width, Index height, Index channels = 3) {
  Image image(width, height, channels);
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      const bool inside = x >= 2 * n && x < 2 * n + 6 && y >= n && y < n + 5;
      std::uint8_t* pixel = image.pixels().data() + (y * width + x) * channels;
      pixel[0] = static_cast<std::uint8_t>(inside ? 250 : 40 * (x / 8));
      pixel[1] = static_cast<std::uint8_t>(inside ? 30 : 80);
      pixel[2] = static_cast<std::uint8_t>(inside ? 5 : 20 * (y / 8));
      if (channels == 4) pixel[3] = static_cast<std::uint8_t>(inside ? 128 : (x + y) % 3 == 0 ? 0 : 255);
    }
  return image;
}

/// Smooth colours, far more than 256.
Image gradient(Index n, Index width, Index height) {
  Image image(width, height, 3);
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      std::uint8_t* pixel = image.pixels().data() + (y * width + x) * 3;
      pixel[0] = static_cast<std::uint8_t>(255 * x / width);
      pixel[1] = static_cast<std::uint8_t>(255 * y / height);
      pixel[2] = static_cast<std::uint8_t>((255 * (x + y) / (width + height) + 20 * n) % 256);
    }
  return image;
}

bool equal(const Image& a, const Image& b) {
  return a.width() == b.width() && a.height() == b.height() && a.channels() == b.channels() &&
         std::ranges::equal(a.pixels(), b.pixels());
}

double psnr(const Image& a, const Image& b) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.pixels().size(); ++i) {
    const double difference = a.pixels()[i] - b.pixels()[i];
    squares += difference * difference;
  }
  return 10.0 * std::log10(255.0 * 255.0 * static_cast<double>(a.pixels().size()) / std::max(squares, 1e-9));
}

bool has(std::string_view format) {
  const auto found = std::ranges::find(film_formats(), format, &FilmFormat::name);
  return found != film_formats().end() && found->is_available;
}

template <class F>
void write_film(const std::filesystem::path& path, const FilmOptions& options, Index count, const F& frame) {
  FilmWriter film(path, options);
  for (Index n = 0; n < count; ++n) film.write(frame(n));
  film.finish();
  CHECK(film.frames() == count);
}

void put_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// Reads all of it; an error of the library's is how a damaged file may end, anything else is not.
std::size_t frames_of_damaged(const std::filesystem::path& path) {
  std::size_t count = 0;
  try {
    FilmReader film(path);
    while (count < 100 && film.next()) ++count;
  } catch (const FormatError&) {
  } catch (const FileError&) {
  }
  return count;
}

}  // namespace

TEST_CASE("films come back from files as they were", "[film]") {
  const TempFolder folder;
  const auto [name, format] = GENERATE(table<std::string, std::string>({{"film.gif", "GIF"},
                                                                        {"film.png", "APNG"},
                                                                        {"film.apng", "APNG"},
                                                                        {"film.webp", "WebP"},
                                                                        {"film", "PNG sequence"}}));
  if (!has(format)) return;
  const auto [width, height] = GENERATE(table<Index, Index>({{33, 17}, {1, 1}, {40, 24}}));
  const double rate = GENERATE(12.0, 24.0, 0.5, 24000.0 / 1001.0);
  INFO(name << " " << width << " x " << height << " at " << rate);
  const auto path = folder / name;
  write_film(path, {.frame_rate = rate, .text = settings, .quality = 100}, 5,
             [width = width, height = height](Index n) { return frame_of(n, width, height); });
  FilmReader film(path);
  CHECK(film.info().format == format);
  CHECK(film.info().width == width);
  CHECK(film.info().height == height);
  CHECK(film.info().frames == 5);
  // GIF's delays are hundredths of a second: five frames may be those of two rates.
  CHECK(std::abs(film.info().frame_rate - rate) < (format == "GIF" ? 0.05 : 1e-3) * rate);
  CHECK(film.info().text == settings);
  const auto frames = film.take(100);
  REQUIRE(frames.size() == 5);
  for (Index n = 0; n < 5; ++n) CHECK(equal(frames[static_cast<std::size_t>(n)], frame_of(n, width, height)));
  CHECK_FALSE(film.next());
}

TEST_CASE("transparency stays where a format has it", "[film]") {
  const TempFolder folder;
  for (const std::string name : {"film.png", "film.webp", "film"}) {
    if (name == "film.webp" && !has("WebP")) continue;
    const auto path = folder / name;
    write_film(path, {.quality = 100}, 3, [](Index n) { return frame_of(n, 19, 13, 4); });
    FilmReader film(path);
    for (Index n = 0; n < 3; ++n) {
      const auto frame = film.next();
      REQUIRE(frame);
      const Image expected = frame_of(n, 19, 13, 4);
      for (std::size_t i = 0; i < expected.pixels().size(); ++i)  // colours that nobody sees may change
        if (i % 4 == 3 || expected.pixels()[i | 3] != 0) REQUIRE(frame->pixels()[i] == expected.pixels()[i]);
    }
  }
  write_film(folder / "film.gif", {}, 2, [](Index n) { return frame_of(n, 19, 13, 4); });
  CHECK(equal(*FilmReader(folder / "film.gif").next(), frame_of(0, 19, 13, 4).over(255, 255, 255)));
}

TEST_CASE("GIF films of many colours are near to what they show", "[film]") {
  const TempFolder folder;
  write_film(folder / "film.gif", {}, 3, [](Index n) { return gradient(n, 96, 64); });
  FilmReader film(folder / "film.gif");
  for (Index n = 0; n < 3; ++n) {
    const auto frame = film.next();
    REQUIRE(frame);
    CHECK(psnr(*frame, gradient(n, 96, 64)) > 28.0);
  }
}

TEST_CASE("Y4M films have the header and the colours that players expect", "[film]") {
  const TempFolder folder;
  const auto path = folder / "film.y4m";
  const bool full_range = GENERATE(false, true), full_chroma = GENERATE(false, true);
  const Index count = GENERATE(3, 12);
  write_film(path,
             {.frame_rate = 29.97, .text = settings, .full_chroma = full_chroma, .full_range = full_range},
             count, [](Index) { return gradient(0, 33, 17); });
  const std::string file = read_file(path);
  CHECK(file.starts_with("YUV4MPEG2 W33 H17 F2997:100 Ip A1:1 "s + (full_chroma ? "C444" : "C420jpeg") +
                         " XCOLORRANGE=" + (full_range ? "FULL" : "LIMITED") + "\nFRAME XDG=1/"));
  FilmReader film(path);
  CHECK(film.info().frame_rate == Approx(29.97));
  // A film that is shorter than its settings has their beginning.
  CHECK((count == 12 ? film.info().text == settings : settings.starts_with(film.info().text)));
  CHECK(film.info().text.size() > 50);
  const auto frames = film.take(100);
  REQUIRE(frames.size() == static_cast<std::size_t>(count));
  CHECK(psnr(frames.back(), gradient(0, 33, 17)) > (full_chroma ? 46.0 : 32.0));
  // BT.601: white and pure blue, of which 16 + 219 * 0.114 and 128 + 224 / 2 are known.
  Image colour(2, 2, 3);
  for (std::size_t i = 2; i < 12; i += 3) colour.pixels()[i] = 255;
  write_film(folder / "blue.y4m", {.full_range = full_range}, 1, [&](Index) { return colour; });
  const std::string blue = read_file(folder / "blue.y4m");
  const auto byte = [&](std::size_t from_end) {
    return static_cast<unsigned char>(blue[blue.size() - from_end]);
  };
  CHECK(byte(3) == (full_range ? 29 : 41));
  CHECK(byte(2) == (full_range ? 255 : 240));
  CHECK(byte(1) == (full_range ? 107 : 110));
}

TEST_CASE("films by libavformat carry their settings", "[film]") {
  if (!has("MP4")) return;
  const TempFolder folder;
  for (const std::string name : {"film.mp4", "film.mkv", "film.webm", "film.avi", "film.mov"}) {
    INFO(name);
    write_film(folder / name, {.frame_rate = 12.5, .text = settings, .quality = 95}, 9,
               [](Index n) { return gradient(n, 64, 48); });
    FilmReader film(folder / name);
    CHECK(film.info().width == 64);
    CHECK(film.info().height == 48);
    CHECK(film.info().frame_rate == Approx(12.5).epsilon(1e-3));
    if (name != "film.avi" && name != "film.mov") CHECK(film.info().text == settings);
    const auto frames = film.take(100);
    REQUIRE(frames.size() == 9);
    for (std::size_t n = 0; n < 9; ++n)
      CHECK(psnr(frames[n], gradient(static_cast<Index>(n), 64, 48)) > 28.0);
    // A film that was cut short is no shorter film.
    const std::string file = read_file(folder / name);
    for (std::size_t size : {file.size() - 1, file.size() - 40, file.size() * 7 / 8, file.size() * 3 / 4,
                             file.size() / 2, file.size() / 4}) {
      INFO("cut to " << size << " of " << file.size());
      put_file(folder / "cut.bin", std::string_view(file).substr(0, size));
      expect_error<FormatError>([&] { FilmReader cut(folder / "cut.bin"); }, {"cut.bin", "cut short"});
    }
    for (std::size_t at = 0; at < file.size(); at += 1 + file.size() / 20) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      put_file(folder / "changed.bin", changed);
      CHECK(frames_of_damaged(folder / "changed.bin") <= 100);
    }
  }
  expect_error<ArgumentError>([&] { FilmWriter film(folder / "x.mp4", {.codec = "no_such_codec"}); },
                              {"no encoder of films named \"no_such_codec\""});
}

TEST_CASE("libav's log stays as the host has it, and says nothing at its levels", "[film]") {
  if (!has("MP4")) return;
  // The library may be linked in or not: what it has is asked for by name.
  using Callback = void (*)(void*, int, const char*, va_list);
  const auto set_callback = reinterpret_cast<void (*)(Callback)>(dlsym(RTLD_DEFAULT, "av_log_set_callback"));
  const auto set_level = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "av_log_set_level"));
  const auto level = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "av_log_get_level"));
  const auto print = reinterpret_cast<Callback>(dlsym(RTLD_DEFAULT, "av_log_default_callback"));
  if (set_callback == nullptr || set_level == nullptr || level == nullptr || print == nullptr) return;
  constexpr int verbose = 40, usual = 32;
  static int most_urgent, other_levels;
  most_urgent = verbose + 1;
  other_levels = 0;
  set_level(verbose);
  set_callback([](void*, int urgency, const char*, va_list) {
    most_urgent = std::min(most_urgent, urgency);
    const auto now = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "av_log_get_level"));
    if (now() != 40) ++other_levels;
  });
  const TempFolder folder;
  for (const std::string name : {"film.mp4", "film.mkv", "film.webm", "film.avi"}) {
    write_film(folder / name, {}, 3, [](Index n) { return gradient(n, 64, 48); });
    std::string file = read_file(folder / name);
    CHECK(frames_of_damaged(folder / name) == 3);
    for (std::size_t at = file.size() / 4; at < file.size() / 2; ++at) file[at] = 'x';
    put_file(folder / "damaged.bin", file);
    CHECK(frames_of_damaged(folder / "damaged.bin") <= 3);
  }
  CHECK(level() == verbose);
  set_callback(print);
  set_level(usual);
  CHECK(other_levels == 0);
  CHECK(most_urgent > usual);
}

TEST_CASE("frames are counted to the end of a film", "[film]") {
  const TempFolder folder;
  for (const std::string name : {"film.gif", "film.png", "film.webp", "film.y4m", "film", "film.mp4"}) {
    if ((name == "film.webp" && !has("WebP")) || (name == "film.mp4" && !has("MP4"))) continue;
    INFO(name);
    write_film(folder / name, {.quality = 100}, 4, [](Index n) { return frame_of(n, 16, 12); });
    FilmReader film(folder / name);
    CHECK(film.next());
    CHECK(film.count_rest() == 3);
    CHECK((name == "film" || film_format(folder / name) == film.info().format));
    if (name == "film") continue;
    const std::string file = read_file(folder / name);
    put_file(folder / "cut.bin", std::string_view(file).substr(0, file.size() - 20));
    expect_error<FormatError>([&] { (void)FilmReader(folder / "cut.bin").count_rest(); },
                              {"cut.bin", "cut short"});
  }
  CHECK(film_format(folder.write("some.mp4", "nothing of that kind")).empty());
}

TEST_CASE("damaged films end in one clear error", "[film]") {
  const TempFolder folder;
  for (const std::string name : {"film.gif", "film.png", "film.webp", "film.y4m"}) {
    if (name == "film.webp" && !has("WebP")) continue;
    write_film(folder / name, {.text = "Steps: 1", .quality = 100}, 3,
               [](Index n) { return frame_of(n, 16, 12); });
    const std::string file = read_file(folder / name);
    const auto damaged = folder / ("damaged" + name.substr(4));
    for (std::size_t size = 0; size < file.size(); size += 1 + file.size() / 150) {
      INFO(name << " cut to " << size << " of " << file.size());
      put_file(damaged, std::string_view(file).substr(0, size));
      CHECK(frames_of_damaged(damaged) <= 3);
      std::size_t frames = 0;
      bool is_told = false;
      try {
        FilmReader film(damaged);
        while (film.next()) ++frames;
      } catch (const Error& error) {
        is_told = std::string(error.what()).find("damaged") != std::string::npos;
      }
      // A stream may end behind any frame, and pixels need not be followed by a trailer.
      CHECK((is_told || (name == "film.y4m" && frames > 0 && frames < 3)));
    }
    for (std::size_t at = 0; at < file.size(); at += 1 + file.size() / 200) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      put_file(damaged, changed);
      CHECK(frames_of_damaged(damaged) < 100);
    }
  }
  expect_error<FormatError>([&] { FilmReader film(folder.write("empty.gif", "")); },
                            {"empty.gif", "is empty"});
  expect_error<FormatError>([&] { FilmReader film(folder.write("some.mp4", "nothing of that kind")); },
                            {"some.mp4", "is not a film"});
  expect_error<FileError>([&] { FilmReader film(folder / "missing.webp"); },
                          {"missing.webp", "cannot be read"});
  if (has("WebP")) {
    const std::string film = read_file(folder / "film.webp"), header = film.substr(12, 18);
    REQUIRE(header.starts_with("VP8X"));
    expect_error<FormatError>([&] { FilmReader other(folder.write("two.webp", film + header)); },
                              {"two.webp", "damaged", "two headers"});
  }
  // Sizes that would take gigabytes are refused by what the header says.
  expect_error<FormatError>([&] { FilmReader film(folder.write("a.gif", "GIF89a\xFF\xFF\xFF\xFF\0\0\0"s)); },
                            {"65535 x 65535", "the limit is"});
  expect_error<FormatError>(
      [&] { FilmReader film(folder.write("a.y4m", "YUV4MPEG2 W100000 H100000 F8:1\nFRAME\n")); },
      {"100000 x 100000", "the limit is"});
  expect_error<FormatError>(
      [&] { FilmReader film(folder.write("b.y4m", "YUV4MPEG2 W8 H8 F8:1 C420p10\nFRAME\n")); },
      {"C420p10", "expected 8 bits"});
}

TEST_CASE("a film that is not finished leaves nothing behind", "[film]") {
  const TempFolder folder;
  for (const std::string name : {"film.gif", "film.png", "film.y4m", "film"}) {
    FilmWriter film(folder / name);
    film.write(frame_of(0, 8, 8));
  }
  CHECK(folder.names().empty());
  // A folder that was there stays, and so does what else is in it.
  std::filesystem::create_directory(folder / "film");
  folder.write("film/notes.txt", "of the host");
  {
    FilmWriter film(folder / "film");
    film.write(frame_of(0, 8, 8));
    CHECK(std::filesystem::exists(folder / "film" / "00000.png"));
  }
  CHECK_FALSE(std::filesystem::exists(folder / "film" / "00000.png"));
  CHECK(std::filesystem::exists(folder / "film" / "notes.txt"));
  FilmWriter film(folder / "film.gif");
  expect_error<ArgumentError>([&] { film.finish(); }, {"no frames"});
  film.write(frame_of(0, 8, 8));
  expect_error<ArgumentError>([&] { film.write(frame_of(0, 8, 9)); }, {"frame 1 is 8 x 9", "8 x 8"});
  expect_error<ArgumentError>([&] { FilmWriter other(folder / "film.xyz"); },
                              {"film.xyz", ".gif .png .apng"});
  expect_error<ArgumentError>([&] { FilmWriter other(folder / "film.gif", {.frame_rate = 60.0}); },
                              {"50 frames a second"});
  expect_error<ArgumentError>([&] { FilmWriter other(folder / "film.y4m", {.frame_rate = 0.0}); },
                              {"0.01 to 1000"});
  write_film(folder / "frames", {}, 2, [](Index n) { return frame_of(n, 8, 8); });
  expect_error<FileError>([&] { FilmWriter other(folder / "frames"); }, {"holds pictures already"});
  std::filesystem::create_directory(folder / "others");
  folder.write("others/a.JPG", "");
  expect_error<FileError>([&] { FilmWriter other(folder / "others"); }, {"holds pictures already", "a.JPG"});
  expect_error<FileError>([&] { FilmWriter other(folder / std::string(300, 'x')); },
                          {"cannot be made a folder"});
}

TEST_CASE("folders of pictures are films in the order of their numbers", "[film]") {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "in");
  for (const int n : {2, 10, 1})
    frame_of(n, 9, 9).save_png(folder / ("in/shot" + std::to_string(n) + ".png"));
  FilmReader film(folder / "in");
  for (const Index n : {1, 2, 10}) CHECK(equal(*film.next(), frame_of(n, 9, 9)));
  frame_of(0, 9, 8).save_png(folder / "in/shot11.png");
  FilmReader other(folder / "in");
  CHECK(other.take(3).size() == 3);
  expect_error<FormatError>([&] { (void)other.next(); }, {"shot11.png", "9 x 8", "9 x 9"});
  // A picture is a film of one frame.
  FilmReader still(folder / "in/shot2.png");
  CHECK(still.info().frames == 1);
  CHECK(still.take(5).size() == 1);
}
