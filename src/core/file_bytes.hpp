#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace daguerre {

/// The read-only bytes of a file or buffer, kept alive by `owner`.
struct FileBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  bool is_mapped = false;
};

/// Tells the system that `bytes`, a part of a mapped file, will not be needed soon: their pages no longer
/// count as this process's memory. Reading them again is allowed and brings them back. Does nothing where
/// there is no mmap.
void release_pages(std::span<const std::byte> bytes) noexcept;

/// Maps a regular file into memory; where there is no mmap the file is read instead. Throws FileError in the
/// name of `who`. A file that is cut short by someone else while it is mapped ends the process (SIGBUS), as
/// with every memory-mapped file.
FileBytes map_file(const std::filesystem::path& path, std::string_view who);

}  // namespace daguerre
