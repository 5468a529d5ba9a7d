#include "progress.hpp"

#include <cstdio>
#include <numeric>
#include <string>

#include "spread.hpp"
#include "system.hpp"
#include "text.hpp"

namespace daguerre::cli {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(stderr_is_terminal()) {}
Progress::~Progress() {
  end_line();
}

void Progress::note(std::string_view line) {
  if (quiet_) return;
  end_line();
  std::fprintf(stderr, "%s\n", one_line(line).c_str());
}

LogSink Progress::warnings() {
  return [this](LogLevel level, std::string_view text) {
    if (level != LogLevel::warning) return;
    end_line();
    std::fprintf(stderr, "warning: %s\n", one_line(text).c_str());
  };
}

void Progress::loaded() {
  load_seconds_ = seconds_since(start_);
}

void Progress::step(const Step& step) {
  step_seconds_.push_back(step.seconds);
  const auto count = "step " + std::to_string(step.index + 1) + "/" + std::to_string(step.total) + "  " +
                     duration(step.seconds);
  if (!terminal_) return note(count);
  const double mean = std::accumulate(step_seconds_.begin(), step_seconds_.end(), 0.0) /
                      static_cast<double>(step_seconds_.size());
  stage(count + "  " + duration(mean * static_cast<double>(step.total - step.index - 1)) + " left");
}

void Progress::decoding() {
  decoding_since_ = Clock::now();
  stage("decoding");
}

void Progress::finished() {
  const double decoder = seconds_since(decoding_since_);
  if (step_seconds_.empty()) return;
  note("loaded in " + duration(load_seconds_) + ", " + duration(spread(step_seconds_).median) +
       " a step (median), decoder " + duration(decoder) + ", " + duration(seconds_since(start_)) +
       " in all, peak memory " + byte_count(peak_memory()));
}

void Progress::stage(std::string_view text) {
  if (quiet_ || !terminal_) return;
  std::fprintf(stderr, "\r\x1b[K%s", one_line(text).c_str());
  std::fflush(stderr);
  line_open_ = true;
}

void Progress::end_line() {
  if (line_open_) std::fputs("\r\x1b[K", stderr);
  line_open_ = false;
}

}  // namespace daguerre::cli
