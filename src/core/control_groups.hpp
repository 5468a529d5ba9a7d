#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// What Linux's control groups allow a process, apart from where it is read.
namespace daguerre {

/// All of a file's text; empty where there is none.
std::string text_of(const std::filesystem::path& file);
/// The whole number that `text` begins with, after spaces.
std::optional<double> number_in(std::string_view text);

/// What limits one group: it reads the files of the group's folder; nullopt where they set no limit.
using GroupLimit = std::function<std::optional<double>(const std::filesystem::path& group)>;

/// The least that the groups of a process allow; nullopt where nothing limits them. `membership` is the text
/// of /proc/self/cgroup, `mount` the folder that the hierarchies are mounted at, /sys/fs/cgroup; `controller`
/// is "cpu" or "memory", `limit_v2` and `limit_v1` read the files that it has in the two versions. The groups
/// above the process's own count, too; inside a container, where the path that the text names is not there,
/// the mount itself is looked at.
std::optional<double> least_group_limit(const std::string& membership, const std::filesystem::path& mount,
                                        std::string_view controller, const GroupLimit& limit_v2,
                                        const GroupLimit& limit_v1);

/// Where the text and the folder are on Linux.
inline constexpr const char* group_membership = "/proc/self/cgroup";
inline constexpr const char* group_mount = "/sys/fs/cgroup";

}  // namespace daguerre
