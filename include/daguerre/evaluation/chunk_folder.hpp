#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"

namespace daguerre::evaluation {

/// A folder in which a long job leaves what is done, so that it can be killed at any time and goes on where
/// it was: files of one chunk each, which appear under their names when they are whole, and `job.json`, which
/// says what the job is.
class ChunkFolder {
 public:
  /// Makes the folder, or goes on in one of the same job. `job` is a JSON object of everything that the
  /// results depend on (weights' fingerprints, prompts, seeds, sizes …). Throws ArgumentError, naming the
  /// first setting that differs, for the folder of another job, and for a folder that holds other things;
  /// FileError.
  ChunkFolder(std::filesystem::path folder, const std::string& job);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  /// `folder`/`stem`-000012`extension`.
  std::filesystem::path path_of(std::string_view stem, Index chunk, std::string_view extension) const;
  /// Of chunks 0 to `count` - 1 those whose file is not there.
  std::vector<Index> missing(std::string_view stem, Index count, std::string_view extension) const;
  /// `write` fills a file under another name in the same folder, which then gets the name `file`
  /// (atomically).
  static void write(const std::filesystem::path& file,
                    const std::function<void(const std::filesystem::path& unfinished)>& write);

 private:
  std::filesystem::path folder_;
};

}  // namespace daguerre::evaluation
