#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"

namespace daguerre::evaluation {

class ProcessGroup;

/// A folder in which a long job leaves what is done, so that it can be killed at any time and goes on where
/// it was: files of one chunk each, which appear under their names when they are whole, and `job.json`, which
/// says what the job is.
class ChunkFolder {
 public:
  /// Makes the folder, or goes on in one of the same job. `job` is a JSON object of everything that the
  /// results depend on (weights' fingerprints, prompts, seeds, sizes …). Throws ArgumentError, naming the
  /// first setting that differs, for the folder of another job, and for a folder that holds other things;
  /// FileError; FormatError for a job.json, or a `job`, that is no JSON object.
  ChunkFolder(std::filesystem::path folder, const std::string& job);
  /// The same in all processes of `group`, of which rank 0 makes the folder. Throws ArgumentError, too, in a
  /// process whose `job` is not that of rank 0, and FileError in one that does not see what rank 0 writes
  /// there. What runs that were killed left unfinished is removed.
  ChunkFolder(std::filesystem::path folder, const std::string& job, ProcessGroup& group);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  /// `folder`/`stem`-000012`extension`.
  std::filesystem::path path_of(std::string_view stem, Index chunk, std::string_view extension) const;
  /// Of chunks 0 to `count` - 1 those whose file is not there.
  std::vector<Index> missing(std::string_view stem, Index count, std::string_view extension) const;
  /// Shares out the missing chunks among the group's processes: `make` fills the file of one, which then gets
  /// its name. All chunks are there when it returns.
  void complete(ProcessGroup& group, std::string_view stem, Index count, std::string_view extension,
                const std::function<void(Index chunk, const std::filesystem::path& unfinished)>& make) const;
  /// `write` fills a file under another name in the same folder, which is then brought to the disk and gets
  /// the name `file` (atomically). When `write` throws, nothing is left of it. Throws FileError.
  static void write(const std::filesystem::path& file,
                    const std::function<void(const std::filesystem::path& unfinished)>& write);
  /// The same of bytes that are there.
  static void write(const std::filesystem::path& file, std::string_view bytes);

 private:
  void check_seen_by_all(ProcessGroup& group) const;

  std::filesystem::path folder_;
};

}  // namespace daguerre::evaluation
