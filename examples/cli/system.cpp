#include "system.hpp"

#include <fstream>

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

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
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
