#pragma once

#include <stop_token>
#include <thread>

namespace daguerre::cli {

/// Turns the first SIGINT (Ctrl-C) or SIGTERM into a stop request; the second one ends the process at once.
/// One object at a time. A signal that the parent process had set to be ignored stays ignored.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  /// Whether a signal has come; true a little before the token tells.
  bool requested() const noexcept;

 private:
  std::stop_source source_;
  std::jthread watcher_;
};

}  // namespace daguerre::cli
