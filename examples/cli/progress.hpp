#pragma once

#include <chrono>
#include <string_view>
#include <vector>

#include <daguerre/daguerre.hpp>

namespace daguerre::cli {

double seconds_since(std::chrono::steady_clock::time_point start);

/// Tells on stderr how a run goes: one line that is redrawn on a terminal, a line for each step elsewhere.
/// Silent when quiet, but for warnings.
class Progress {
 public:
  explicit Progress(bool quiet);
  /// Ends a line that is still being redrawn.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void note(std::string_view line);
  /// For LoadOptions::log: shows warnings and nothing else. Valid as long as this object is.
  LogSink warnings();
  /// What is being done, on a terminal, until the next line.
  void stage(std::string_view text);
  /// Takes that back.
  void clear() { end_line(); }
  /// The model has been loaded; the time since construction was spent on it.
  void loaded();
  void step(const Step& step);
  /// The steps' part is over; what follows, until `finished`, is the decoder.
  void decoding();
  /// Sums up: times, memory.
  void finished();

 private:
  using Clock = std::chrono::steady_clock;
  void end_line();

  bool quiet_;
  bool terminal_;
  bool line_open_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point decoding_since_ = start_;
  double load_seconds_ = 0.0;
  std::vector<double> step_seconds_;
};

}  // namespace daguerre::cli
