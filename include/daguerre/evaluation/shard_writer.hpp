#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace daguerre::evaluation {

/// Writes a shard: many small files in one tar file (POSIX ustar), as WebDataset reads them. Files that
/// belong together follow each other and share a name up to the first dot: `000123.png`, `000123.json`. The
/// bytes depend on names and contents alone: no times, no owners.
class ShardWriter {
 public:
  /// Begins the file. Throws FileError where it cannot be written, also where it is there already.
  explicit ShardWriter(std::filesystem::path file);

  /// Adds a file and returns where its bytes begin in the shard. `name` is UTF-8, with `/` between folders;
  /// names that ustar has no room for get an extended header (pax). Throws FileError; ArgumentError for a
  /// name that is empty, absolute, or holds NUL or "..", and for 8 GB and more.
  std::uint64_t add(std::string_view name, std::span<const std::byte> bytes);
  std::uint64_t add(std::string_view name, std::string_view text);
  /// Ends the file; nothing may be added behind. Throws FileError. A shard that is not finished is no tar
  /// file, and no reader takes it for one.
  void finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  void put(std::span<const std::byte> bytes);
  void put_member(std::string_view name, std::string_view prefix, char type,
                  std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::uint64_t written_ = 0;
};

}  // namespace daguerre::evaluation
