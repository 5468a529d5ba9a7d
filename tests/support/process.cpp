#include "support/process.hpp"

#include <ctime>
#include <fstream>
#include <string>
#include <string_view>

namespace daguerre::test {
namespace {

/// A line of /proc/self/status, in MB.
double status(std::string_view key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return std::stod(line.substr(key.size())) / 1024;
  return 0;
}

}  // namespace

double resident_megabytes() {
  return status("VmRSS:");
}

double process_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

PeakMemory::PeakMemory() {
  std::ofstream("/proc/self/clear_refs") << 5;  // sets the peak to what is used now
  before_ = status("VmHWM:");
}

double PeakMemory::growth_megabytes() const {
  return status("VmHWM:") - before_;
}

}  // namespace daguerre::test
