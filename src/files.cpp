#include "files.hpp"

#include <fstream>
#include <random>
#include <string>
#include <system_error>

#include "daguerre/error.hpp"

namespace daguerre {

std::vector<std::byte> read_file(std::string_view who, const std::filesystem::path& path,
                                 std::uintmax_t limit) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw FileError(who, path.string() + ": cannot be read: " + error.message());
  if (size > limit)
    throw FileError(who, path.string() + ": has " + std::to_string(size) + " bytes, the limit is " +
                             std::to_string(limit));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    throw FileError(who, path.string() + ": cannot be read");
  return bytes;
}

void write_file(std::string_view who, const std::filesystem::path& path, std::span<const std::byte> bytes) {
  // A random suffix, so that two writers of one path do not share a temporary file.
  std::random_device random;
  const std::uint64_t suffix = (std::uint64_t{random()} << 32) | random();
  std::filesystem::path temporary = path;
  temporary += "." + std::to_string(suffix) + ".tmp";

  std::error_code error;
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    std::filesystem::remove(temporary, error);
    throw FileError(who, path.string() + ": cannot be written");
  }
  std::filesystem::rename(temporary, path, error);
  if (error) {
    const std::string reason = error.message();
    std::filesystem::remove(temporary, error);
    throw FileError(who, path.string() + ": cannot be written: " + reason);
  }
}

}  // namespace daguerre
