#include "core/files.hpp"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <system_error>

#include "daguerre/core/error.hpp"

namespace daguerre {

std::vector<std::byte> read_file(std::string_view who, const std::filesystem::path& path,
                                 std::uintmax_t limit) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw FileError(who, path.string() + ": cannot be read: " + error.message(), path);
  if (size > limit)
    throw FileError(
        who,
        path.string() + ": has " + std::to_string(size) + " bytes, the limit is " + std::to_string(limit),
        path);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    throw FileError(who, path.string() + ": cannot be read", path);
  return bytes;
}

void write_file(std::string_view who, const std::filesystem::path& path, std::span<const std::byte> bytes) {
  // A random suffix, so that two writers of one path do not share a temporary file; `x` refuses to open a
  // file that exists, so that no other file is ever touched.
  std::random_device random;
  std::filesystem::path temporary = path;
  temporary.concat(".").concat(std::to_string(random())).concat(".tmp");
  const auto failure = [&](const std::string& reason) {
    return FileError(who, path.string() + ": cannot be written: " + reason, path);
  };
  const auto system_reason = [] { return std::generic_category().message(errno); };

  std::FILE* const file = std::fopen(temporary.string().c_str(), "wbx");
  if (file == nullptr) throw failure(system_reason());
  std::string problem;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) problem = system_reason();
  // fclose reports what the last buffered bytes met with.
  if (std::fclose(file) != 0 && problem.empty()) problem = system_reason();
  std::error_code error;
  if (problem.empty()) {
    std::filesystem::rename(temporary, path, error);
    if (error) problem = error.message();
  }
  if (!problem.empty()) {
    std::filesystem::remove(temporary, error);
    throw failure(problem);
  }
}

}  // namespace daguerre
