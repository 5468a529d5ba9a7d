#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace daguerre {

/// The whole of a file. `who` is the part of the library that speaks in errors. Throws FileError when the
/// file cannot be read or is larger than `limit` bytes.
std::vector<std::byte> read_file(std::string_view who, const std::filesystem::path& path,
                                 std::uintmax_t limit);

/// Writes a temporary file beside `path`, then renames it, so that no reader ever sees half a file. Throws
/// FileError, leaving what was at `path` before.
void write_file(std::string_view who, const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace daguerre
