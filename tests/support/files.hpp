#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::test {

/// A folder of its own for a test, removed with everything in it at the end.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  /// Writes a file, making the folders it needs, and returns its path.
  std::filesystem::path write(std::string_view name, std::string_view content) const;
  /// The names in the folder, sorted.
  std::vector<std::string> names() const;

 private:
  std::filesystem::path path_;
};

/// The whole of a file.
std::string read_file(const std::filesystem::path& path);

/// A safetensors file as a string: the length of `header`, `header`, `data`.
std::string safetensors_text(std::string_view header, std::string_view data = {});
/// The same with a false length.
std::string safetensors_text(std::uint64_t claimed_length, std::string_view header, std::string_view data);

/// A string as the buffer that `SafetensorsFile::from_memory` takes.
std::shared_ptr<const std::vector<std::byte>> as_buffer(std::string_view text);

}  // namespace daguerre::test
