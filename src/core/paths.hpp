#pragma once

#include <filesystem>

namespace daguerre {

// What lies at a path. A path that is too long, links in a circle and folders that may not be looked into are
// "no": the one-argument forms of <filesystem> throw exceptions of another kind there, and whoever opens the
// file next says what is wrong.

inline bool path_exists(const std::filesystem::path& path) noexcept {
  std::error_code error;
  return std::filesystem::exists(path, error);
}
inline bool is_file(const std::filesystem::path& path) noexcept {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}
inline bool is_folder(const std::filesystem::path& path) noexcept {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

}  // namespace daguerre
