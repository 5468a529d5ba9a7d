#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <daguerre/media/image.hpp>

namespace daguerre::cli {

/// Frames of a film side by side, in one picture to look at: all of them, or 64 spread evenly over it, row by
/// row, made smaller where the picture would be wider or higher than 4096 pixels.
class FilmSheet {
 public:
  void add(const Image& frame, Index index, Index total);
  /// Writes it with the film's settings.
  void save_png(const std::filesystem::path& path, const std::string& settings) const;

 private:
  Image sheet_;
  Index columns_ = 0, shown_ = 0, next_ = 0, width_ = 0, height_ = 0;
};

}  // namespace daguerre::cli
