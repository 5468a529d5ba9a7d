#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

/// What decides on the memory that a process may take, apart from where it is read.
namespace daguerre {

/// Bytes that the control groups of a process leave it; file pages that they count do not stand in its way.
/// nullopt where nothing limits them; `membership` and `mount` are least_group_limit's.
std::optional<std::uint64_t> group_memory(const std::string& membership, const std::filesystem::path& mount);

/// MemAvailable in the text of /proc/meminfo, in bytes.
std::optional<std::uint64_t> system_memory(const std::string& meminfo);

}  // namespace daguerre
