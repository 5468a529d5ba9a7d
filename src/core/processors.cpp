#include "core/processors.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "core/control_groups.hpp"
#include "daguerre/core/processors.hpp"

#if __has_include(<sched.h>)
#include <sched.h>
#endif

namespace daguerre {
namespace {

namespace fs = std::filesystem;

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
  const auto least = least_group_limit(membership, mount, "cpu", quota_v2, quota_v1);
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
                    quota_processors(text_of(group_membership), group_mount).value_or(processors));
  } catch (...) {  // no memory for a few paths
    return affinity_processors();
  }
}

}  // namespace daguerre
