#include "core/available_memory.hpp"

#include <algorithm>
#include <string_view>

#include "core/control_groups.hpp"
#include "daguerre/core/memory.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// The number behind the line of `text` that begins with `key` and a blank or a colon.
std::optional<double> entry(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    if (line.starts_with(key) && line.size() > key.size() &&
        (line[key.size()] == ' ' || line[key.size()] == ':'))
      return number_in(line.substr(key.size() + 1));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return std::nullopt;
}

/// What `limit` leaves of `used`, of which file pages are given up when memory is asked for.
std::optional<double> left(std::optional<double> limit, std::optional<double> used, double file_pages) {
  if (!limit || !used || *limit < 0) return std::nullopt;
  return std::max(0.0, *limit - std::max(0.0, *used - file_pages));
}

std::optional<double> left_v2(const fs::path& group) {
  const auto used = number_in(text_of(group / "memory.current"));
  const auto stat = text_of(group / "memory.stat");
  const double files = entry(stat, "inactive_file").value_or(0) + entry(stat, "active_file").value_or(0);
  std::optional<double> least;
  for (const char* name : {"memory.max", "memory.high"})  // "max" is none
    if (const auto found = left(number_in(text_of(group / name)), used, files))
      least = least ? std::min(*least, *found) : found;
  return least;
}

std::optional<double> left_v1(const fs::path& group) {
  const auto stat = text_of(group / "memory.stat");
  const double files =
      entry(stat, "total_inactive_file").value_or(0) + entry(stat, "total_active_file").value_or(0);
  return left(number_in(text_of(group / "memory.limit_in_bytes")),
              number_in(text_of(group / "memory.usage_in_bytes")), files);
}

}  // namespace

std::optional<std::uint64_t> group_memory(const std::string& membership, const fs::path& mount) {
  const auto least = least_group_limit(membership, mount, "memory", left_v2, left_v1);
  if (!least) return std::nullopt;
  return static_cast<std::uint64_t>(*least);
}

std::optional<std::uint64_t> system_memory(const std::string& meminfo) {
  const auto kilobytes = entry(meminfo, "MemAvailable");
  if (!kilobytes || *kilobytes < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*kilobytes * 1024);
}

std::optional<std::uint64_t> available_memory() noexcept {
  try {
    const auto system = system_memory(text_of("/proc/meminfo"));
    const auto group = group_memory(text_of(group_membership), group_mount);
    return system && group ? std::min(*system, *group) : system ? system : group;
  } catch (...) {  // no memory for a few paths
    return std::nullopt;
  }
}

}  // namespace daguerre
