#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "daguerre/media/image.hpp"

namespace daguerre::evaluation {

/// What stands behind a PictureSet: its functions mean what that one's do; an index is in range. Immutable,
/// and safe from many threads.
class PictureSource {
 public:
  virtual ~PictureSource() = default;
  virtual Index size() const noexcept = 0;
  virtual std::string name(Index index) const = 0;
  virtual Image read(Index index) const = 0;
  virtual std::optional<std::string> prompt(Index index) const = 0;
  virtual std::string fingerprint() const = 0;
};

/// Whether a file of that name is one of the kinds of pictures that there are readers for.
bool has_picture_extension(const std::filesystem::path& file);

/// The pictures in a tar file, or in those of a folder; nullptr where there are none. Throws FileError,
/// FormatError.
std::shared_ptr<const PictureSource> open_picture_shards(const std::filesystem::path& path);
/// A folder's picture files, sorted by name, with those of the folders in it. Throws FileError.
std::shared_ptr<const PictureSource> open_picture_folder(const std::filesystem::path& folder);
/// An .npz file's `arr_0`. Throws FileError, FormatError.
std::shared_ptr<const PictureSource> open_picture_array(const std::filesystem::path& file);

}  // namespace daguerre::evaluation
