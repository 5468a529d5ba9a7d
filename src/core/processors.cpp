#include "core/processors.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include "daguerre/core/processors.hpp"

#if __has_include(<sched.h>)
#include <sched.h>
#endif

namespace daguerre {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::optional<double> number_in(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  text.remove_prefix(first);
  // Digits only: from_chars for double came late to some standard libraries.
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return static_cast<double>(value);
}

std::optional<double> share(std::optional<double> quota, std::optional<double> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

/// cgroup v2: "max 100000", or quota and period in microseconds.
std::optional<double> quota_v2(const fs::path& group) {
  const std::string text = text_of(group / "cpu.max");
  const auto space = text.find(' ');
  if (space == std::string::npos) return std::nullopt;
  return share(number_in(std::string_view(text).substr(0, space)),
               number_in(std::string_view(text).substr(space)));
}

/// cgroup v1: -1 for no quota.
std::optional<double> quota_v1(const fs::path& group) {
  return share(number_in(text_of(group / "cpu.cfs_quota_us")),
               number_in(text_of(group / "cpu.cfs_period_us")));
}

/// The least of what `quota` says of `group`, a path below `mount`, and of all groups above it.
template <class Quota>
std::optional<double> least_quota(const fs::path& mount, const std::string& group, const Quota& quota) {
  std::optional<double> least;
  fs::path path = fs::path(group).lexically_normal().relative_path();
  for (;;) {
    if (const auto found = quota(mount / path)) least = least ? std::min(*least, *found) : found;
    if (path.empty()) return least;
    path = path.parent_path();
  }
}

bool lists_cpu(std::string_view controllers) {
  while (!controllers.empty()) {
    const auto comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "cpu") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

int affinity_processors() noexcept {
#if defined(CPU_COUNT) && defined(__linux__)
  // Machines with more processors than cpu_set_t holds refuse it: larger sets are tried.
  for (int processors = CPU_SETSIZE; processors <= CPU_SETSIZE * 64; processors *= 2) {
    cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(processors));
    if (set == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(processors));
    const bool known = ::sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<int> quota_processors(const std::string& membership, const fs::path& mount) {
  std::optional<double> least;
  const auto take = [&](std::optional<double> found) {
    if (found) least = least ? std::min(*least, *found) : found;
  };
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // "hierarchy:controllers:path"
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      group = line.substr(second + 1);
    if (controllers.empty()) {
      take(least_quota(mount, group, quota_v2));
      take(least_quota(mount / "unified", group, quota_v2));  // beside hierarchies of v1
    } else if (lists_cpu(controllers)) {
      take(least_quota(mount / controllers, group, quota_v1));
      take(least_quota(mount / "cpu", group, quota_v1));
    }
  }
  if (!least) return std::nullopt;
  constexpr double many = 1 << 20;
  return static_cast<int>(std::ceil(std::clamp(*least, 1.0, many)));
}

std::optional<int> requested_threads(const char* value) noexcept {
  if (value == nullptr) return std::nullopt;
  while (*value == ' ' || *value == '\t') ++value;
  int number = 0;
  const auto [end, error] = std::from_chars(value, value + std::strlen(value), number);
  if (error != std::errc() || number < 1) return std::nullopt;
  return *end == '\0' || *end == ',' || *end == ' ' || *end == '\t' ? std::optional(number) : std::nullopt;
}

int available_threads() noexcept {
  try {
    if (const auto requested = requested_threads(std::getenv("OMP_NUM_THREADS")))
      return std::min(*requested, requested_threads(std::getenv("OMP_THREAD_LIMIT")).value_or(*requested));
    const int processors = affinity_processors();
    return std::min(processors,
                    quota_processors(text_of("/proc/self/cgroup"), "/sys/fs/cgroup").value_or(processors));
  } catch (...) {  // no memory for a few paths
    return affinity_processors();
  }
}

}  // namespace daguerre
