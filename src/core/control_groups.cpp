#include "core/control_groups.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// The least of what `limit` says of `group`, a path below `mount`, and of all groups above it.
std::optional<double> least_above(const fs::path& mount, const std::string& group, const GroupLimit& limit) {
  std::optional<double> least;
  fs::path path = fs::path(group).lexically_normal().relative_path();
  for (;;) {
    if (const auto found = limit(mount / path)) least = least ? std::min(*least, *found) : found;
    if (path.empty()) return least;
    path = path.parent_path();
  }
}

bool lists(std::string_view controllers, std::string_view controller) {
  while (!controllers.empty()) {
    const auto comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == controller) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

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

std::optional<double> least_group_limit(const std::string& membership, const fs::path& mount,
                                        std::string_view controller, const GroupLimit& limit_v2,
                                        const GroupLimit& limit_v1) {
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
      take(least_above(mount, group, limit_v2));
      take(least_above(mount / "unified", group, limit_v2));  // beside hierarchies of v1
    } else if (lists(controllers, controller)) {
      take(least_above(mount / controllers, group, limit_v1));
      take(least_above(mount / controller, group, limit_v1));
    }
  }
  return least;
}

}  // namespace daguerre
