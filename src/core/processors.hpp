#pragma once

#include <filesystem>
#include <optional>
#include <string>

/// What decides on the default number of threads, apart from where it is read.
namespace daguerre {

/// Processors' worth of time that the control groups of a process may use, rounded up; nullopt where nothing
/// limits them. `membership` is the text of /proc/self/cgroup, `mount` the folder that the hierarchies are
/// mounted at, /sys/fs/cgroup. The groups above the process's own count, too; inside a container, where the
/// path that the text names is not there, the mount itself is looked at.
std::optional<int> quota_processors(const std::string& membership, const std::filesystem::path& mount);

/// The first number of OMP_NUM_THREADS' value, which may be a list for nested regions; nullopt when it is
/// none above 0.
std::optional<int> requested_threads(const char* value) noexcept;

}  // namespace daguerre
