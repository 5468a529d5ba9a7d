#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "daguerre/media/image.hpp"

namespace daguerre::evaluation {

/// Pictures in a fixed order, read one by one: memory does not grow with their number. Immutable and cheap to
/// copy; may be read from many threads at once.
class PictureSet {
 public:
  /// What lies at `path`: a folder of pictures (by name, with the folders in it; what begins with a dot is
  /// hidden), one of shards (tar files, as `daguerre sample` writes them) or a shard, or an .npz whose
  /// `arr_0` holds U8 pictures `[N, H, W, 3]` (as ADM's evaluation suite has them). Throws ArgumentError
  /// where there are no pictures; FileError, FormatError.
  static PictureSet open(const std::filesystem::path& path);

  /// The first `count` of them; all where there are fewer. Throws ArgumentError below 1.
  PictureSet first(Index count) const;

  /// Where it lies.
  const std::filesystem::path& path() const noexcept;
  Index size() const noexcept;
  /// Its path below the set's, with `/`, in UTF-8.
  std::string name(Index index) const;
  /// Throws FileError or FormatError for one that cannot be read.
  Image read(Index index) const;
  /// The prompt that it was made from, where the set knows: a file `NAME.txt` beside it, or the settings in a
  /// PNG file.
  std::optional<std::string> prompt(Index index) const;
  /// Changes when a picture comes, goes, or has another size or time of change (folders), or other bytes.
  std::string fingerprint() const;

 private:
  struct State;
  explicit PictureSet(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::evaluation
