#include "interrupt.hpp"

#include <atomic>
#include <chrono>
#include <csignal>

namespace daguerre::cli {
namespace {

// A signal handler has nothing else to speak through.
std::atomic<bool> signalled = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_signal(int signal) {
  signalled = true;
  std::signal(signal, SIG_DFL);
}

void listen(int signal) {
  if (std::signal(signal, on_signal) == SIG_IGN) std::signal(signal, SIG_IGN);
}

void restore(int signal) {
  if (std::signal(signal, SIG_DFL) == SIG_IGN) std::signal(signal, SIG_IGN);
}

}  // namespace

// A handler may not touch a stop_source, so a thread looks at the flag.
Interrupt::Interrupt()
    : watcher_([source = source_](const std::stop_token& end) mutable {
        while (!end.stop_requested() && !signalled)
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (signalled) source.request_stop();
      }) {
  listen(SIGINT);
  listen(SIGTERM);
}

Interrupt::~Interrupt() {
  restore(SIGINT);
  restore(SIGTERM);
}

bool Interrupt::requested() const noexcept {
  return signalled;
}

}  // namespace daguerre::cli
