#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::evaluation {

/// A file in a shard.
struct ShardEntry {
  std::string name;          ///< UTF-8 as a rule, with `/` between folders
  std::uint64_t offset = 0;  ///< of its bytes in the shard
  std::uint64_t size = 0;
  bool operator==(const ShardEntry&) const = default;
};

/// The files in a tar file: ustar and older ones, long names and sizes of pax and GNU, as WebDataset's shards
/// have them. Folders, links and devices are passed over. Immutable and cheap to copy; may be read from many
/// threads at once.
class ShardReader {
 public:
  /// Reads the headers, and so the whole table of contents. Throws FileError; FormatError, naming the file
  /// and the offset, for what is malformed or cut short, for compressed and sparse ones, and for more than
  /// `max_shard_entries`.
  static ShardReader open(const std::filesystem::path& file);

  const std::filesystem::path& path() const noexcept;
  /// In the order of the file. Of files of one name all are there.
  std::span<const ShardEntry> entries() const noexcept;
  /// What belongs to the same sample: the last entry whose name is that of `entry` up to the first dot behind
  /// its last slash, and then `extension` (".txt"); nullptr where there is none.
  const ShardEntry* beside(const ShardEntry& entry, std::string_view extension) const;
  /// The bytes of an entry. Throws FileError; ArgumentError where there are more than `limit`.
  std::vector<std::byte> read(const ShardEntry& entry, std::uint64_t limit = std::uint64_t{256} << 20) const;
  /// The same as text.
  std::string read_text(const ShardEntry& entry, std::uint64_t limit = std::uint64_t{1} << 20) const;

 private:
  struct State;
  explicit ShardReader(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// The part of a shard's name that the files of a sample share: "a/000123" of "a/000123.cls.txt".
std::string_view sample_key(std::string_view name) noexcept;

inline constexpr std::size_t max_shard_entries = 4'000'000;

}  // namespace daguerre::evaluation
