#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace daguerre::weights {

/// The read-only bytes of a file or buffer, kept alive by `owner`.
struct FileBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

/// Maps a regular file into memory; where there is no mmap the file is read instead. Throws FileError in the
/// name of `who`. A file that is cut short by someone else while it is mapped ends the process (SIGBUS), as
/// with every memory-mapped file.
FileBytes map_file(const std::filesystem::path& path, std::string_view who);

}  // namespace daguerre::weights
