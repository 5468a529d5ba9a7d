#include "media/film_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <random>
#include <system_error>

#include "daguerre/core/error.hpp"

namespace daguerre {

FilmOutput::FilmOutput(const std::filesystem::path& path)
    : path_(path), temporary_(path), is_stdout_(path == "-") {
  if (is_stdout_) {
    file_ = stdout;
    return;
  }
  // As write_file: a random suffix, and `x` refuses to open a file that exists.
  temporary_.concat(".").concat(std::to_string(std::random_device{}())).concat(".tmp");
  file_ = std::fopen(temporary_.string().c_str(), "wbx");
  if (file_ == nullptr) fail(std::generic_category().message(errno));
}

FilmOutput::~FilmOutput() {
  if (is_stdout_ || file_ == nullptr) return;
  std::fclose(file_);
  std::error_code error;
  std::filesystem::remove(temporary_, error);
}

void FilmOutput::fail(const std::string& reason) const {
  const std::string what = is_stdout_ ? "standard output" : path_.string();
  throw FileError(film_name, what + ": cannot be written: " + reason, path_);
}

void FilmOutput::put(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size())
    fail(std::generic_category().message(errno));
  size_ += bytes.size();
}

void FilmOutput::put_at(std::uint64_t position, std::string_view bytes) {
  const bool done = std::fseek(file_, static_cast<long>(position), SEEK_SET) == 0 &&
                    std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size() &&
                    std::fseek(file_, 0, SEEK_END) == 0;
  if (!done) fail(std::generic_category().message(errno));
  size_ = std::max(size_, position + bytes.size());
}

void FilmOutput::finish() {
  if (is_stdout_) {
    if (std::fflush(file_) != 0) fail(std::generic_category().message(errno));
    return;
  }
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  std::error_code error;
  std::string problem;
  if (!closed) problem = std::generic_category().message(errno);
  if (problem.empty()) {
    std::filesystem::rename(temporary_, path_, error);
    if (error) problem = error.message();
  }
  if (problem.empty()) return;
  std::filesystem::remove(temporary_, error);
  fail(problem);
}

FilmFraction nearest_fraction(double value, std::int64_t limit) {
  // Convergents p / q, as long as both stay below the limit.
  std::int64_t p = 1, q = 0, before_p = 0, before_q = 1;
  double rest = value;
  for (int i = 0; i < 40; ++i) {
    const double whole = std::floor(rest);
    if (whole > static_cast<double>(limit)) break;
    const auto part = static_cast<std::int64_t>(whole);
    const std::int64_t next_p = part * p + before_p, next_q = part * q + before_q;
    if (next_p > limit || next_q > limit) break;
    before_p = p;
    before_q = q;
    p = next_p;
    q = next_q;
    const double found = static_cast<double>(p) / static_cast<double>(q);
    if (std::abs(found - value) <= 1e-9 * value || rest - whole < 1e-9) break;
    rest = 1.0 / (rest - whole);
  }
  if (q == 0 || p == 0) return value >= 1.0 ? FilmFraction{limit, 1} : FilmFraction{1, limit};
  return {p, q};
}

std::int64_t frame_time(std::int64_t n, double frame_rate, double ticks_per_second) {
  return std::llround(static_cast<double>(n) * ticks_per_second / frame_rate);
}

double rate_of_delays(std::span<const std::uint32_t> delays, double ticks_per_second) {
  double sum = 0.0;
  for (const std::uint32_t delay : delays) sum += delay;
  if (sum <= 0.0) return 0.0;
  const double average = static_cast<double>(delays.size()) * ticks_per_second / sum;
  const auto gives_them = [&](double rate) {
    for (std::size_t i = 0; i < delays.size(); ++i) {
      const auto n = static_cast<std::int64_t>(i);
      if (frame_time(n + 1, rate, ticks_per_second) - frame_time(n, rate, ticks_per_second) !=
          static_cast<std::int64_t>(delays[i]))
        return false;
    }
    return true;
  };
  const double thousand = std::round(average) * 1000.0 / 1001.0;  // 23.976, 29.97 …
  for (const double rate : {std::round(average), std::round(average * 2.0) / 2.0, thousand,
                            std::round(average * 10.0) / 10.0, std::round(average * 100.0) / 100.0})
    if (rate > 0.0 && gives_them(rate)) return rate;
  return average;
}

ChangedBox changed_box(const Image& before, const Image& after) {
  const Index channels = after.channels(), row = after.width() * channels;
  const auto old_pixels = before.pixels(), new_pixels = after.pixels();
  Index top = 0, bottom = after.height();
  const auto differs = [&](Index y) {
    const auto from = static_cast<std::size_t>(y * row), count = static_cast<std::size_t>(row);
    return !std::ranges::equal(old_pixels.subspan(from, count), new_pixels.subspan(from, count));
  };
  while (top < bottom && !differs(top)) ++top;
  if (top == bottom) return {};
  while (!differs(bottom - 1)) --bottom;
  Index left = after.width(), right = 0;
  for (Index y = top; y < bottom; ++y)
    for (Index x = 0; x < after.width(); ++x) {
      if (x >= left && x < right) continue;
      const auto at = static_cast<std::size_t>(y * row + x * channels),
                 n = static_cast<std::size_t>(channels);
      if (std::ranges::equal(old_pixels.subspan(at, n), new_pixels.subspan(at, n))) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
    }
  return {left, top, right - left, bottom - top};
}

Image without_alpha(const Image& frame) {
  return frame.over(255, 255, 255).to_channels(3);
}

void lay_on(Image& canvas, const Image& part, Index left, Index top, bool blend) {
  const Index columns = std::min(part.width(), canvas.width() - left);
  const Index rows = std::min(part.height(), canvas.height() - top);
  for (Index y = 0; y < rows; ++y) {
    const std::uint8_t* from = part.pixels().data() + y * part.width() * 4;
    std::uint8_t* to = canvas.pixels().data() + ((top + y) * canvas.width() + left) * 4;
    for (Index x = 0; x < columns; ++x, from += 4, to += 4) {
      if (!blend || from[3] == 255 || to[3] == 0) {
        std::copy_n(from, 4, to);
      } else if (from[3] != 0) {
        const unsigned over = from[3] * 255u, under = (255u - from[3]) * to[3], all = over + under;
        for (int c = 0; c < 3; ++c)
          to[c] = static_cast<std::uint8_t>((from[c] * over + to[c] * under + all / 2) / all);
        to[3] = static_cast<std::uint8_t>((all + 127) / 255);
      }
    }
  }
}

void clear_on(Image& canvas, Index left, Index top, Index width, Index height) {
  const Index right = std::min(canvas.width(), left + width),
              bottom = std::min(canvas.height(), top + height);
  for (Index y = top; y < bottom; ++y)
    for (Index x = left; x < right; ++x)
      std::fill_n(canvas.pixels().data() + (y * canvas.width() + x) * 4, 4, std::uint8_t{0});
}

FormatError film_error(const std::filesystem::path& path, const std::string& message) {
  return FormatError(film_name, path.string() + ": " + message, path);
}

}  // namespace daguerre
