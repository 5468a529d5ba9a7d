#include "system.hpp"

#if __has_include(<sys/resource.h>) && __has_include(<unistd.h>)
#include <sys/resource.h>
#include <unistd.h>
#define DAGUERRE_CLI_POSIX 1
#endif

namespace daguerre::cli {

bool stderr_is_terminal() {
#ifdef DAGUERRE_CLI_POSIX
  return isatty(STDERR_FILENO) == 1;
#else
  return false;
#endif
}

std::uint64_t peak_memory() {
#ifdef DAGUERRE_CLI_POSIX
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  constexpr std::uint64_t unit = 1;
#else
  constexpr std::uint64_t unit = 1024;
#endif
  return static_cast<std::uint64_t>(usage.ru_maxrss) * unit;
#else
  return 0;
#endif
}

}  // namespace daguerre::cli
