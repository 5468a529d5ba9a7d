#pragma once

#if __has_include(<sys/wait.h>)
#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>
#define DAGUERRE_TEST_HAS_FORK 1
#endif

namespace daguerre::test {

/// Sanitizers slow everything down, keep freed memory for a while and reserve address space.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool is_instrumented = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool is_instrumented = true;
#else
inline constexpr bool is_instrumented = false;
#endif
#else
inline constexpr bool is_instrumented = false;
#endif

/// Memory of this process in RAM, in MB; 0 where the system does not tell.
double resident_megabytes();
/// Processor time that this process has used.
double process_seconds();

/// By how much the memory of this process grew at most, from here on.
class PeakMemory {
 public:
  PeakMemory();
  double growth_megabytes() const;

 private:
  double before_;
};

#if DAGUERRE_TEST_HAS_FORK
/// Runs `action` in a process of its own; its exit status, or 1000 plus the signal that ended it.
template <class F>
int in_child(F&& action) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(120);  // no test waits for ever
    ::_exit(action());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
#endif

}  // namespace daguerre::test
