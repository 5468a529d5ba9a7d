#pragma once

#include <filesystem>
#include <optional>
#include <string>

/// What decides on the default number of threads, apart from where it is read.
namespace daguerre {

/// Processors' worth of time that the control groups of a process may use, rounded up; nullopt where nothing
/// limits them; `membership` and `mount` are least_group_limit's.
std::optional<int> quota_processors(const std::string& membership, const std::filesystem::path& mount);

/// The first number of OMP_NUM_THREADS' value, which may be a list for nested regions; nullopt when it is
/// none above 0.
std::optional<int> requested_threads(const char* value) noexcept;

}  // namespace daguerre
