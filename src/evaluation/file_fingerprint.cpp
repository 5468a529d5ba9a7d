#include "daguerre/evaluation/file_fingerprint.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/paths.hpp"
#include "core/sha256.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::evaluation {
namespace {

constexpr std::uint64_t piece = 1 << 20, whole_pieces = 64;
constexpr std::array<std::string_view, 8> model_extensions{".json",        ".txt",  ".model", ".jinja",
                                                           ".safetensors", ".gguf", ".bin",   ".yaml"};

using FilePath = std::filesystem::path;

FileError unreadable(const FilePath& file, const std::string& why) {
  return FileError("fingerprint", file.string() + ": cannot be read" + why, file);
}

void add_text(Sha256& hash, std::string_view text) {
  hash.add(std::as_bytes(std::span(text)));
}

void add_content(Sha256& hash, const FilePath& file) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(file, error);
  std::ifstream stream(file, std::ios::binary);
  if (error || !stream) throw unreadable(file, error ? ": " + error.message() : std::string());
  add_text(hash, std::to_string(size) + "\n");
  std::vector<char> bytes(static_cast<std::size_t>(std::min(size, piece)));
  const std::uint64_t pieces = std::min((size + piece - 1) / piece, whole_pieces);
  const bool whole = size <= whole_pieces * piece;
  for (std::uint64_t i = 0; i < pieces; ++i) {
    const std::uint64_t at = whole ? i * piece : (size - piece) * i / (pieces - 1);
    const std::uint64_t count = std::min(piece, size - at);
    stream.seekg(static_cast<std::streamoff>(at));
    if (!stream.read(bytes.data(), static_cast<std::streamsize>(count))) throw unreadable(file, "");
    hash.add(std::as_bytes(std::span(bytes).first(static_cast<std::size_t>(count))));
  }
}

/// The files of a folder that belong to a model, by their names in it, or the file alone.
std::vector<std::pair<std::string, FilePath>> files_of(const FilePath& path) {
  if (!is_folder(path)) return {{path.filename().string(), path}};
  std::vector<std::pair<std::string, FilePath>> result;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(path, error), end;
  for (; !error && at != end; at.increment(error)) {
    const auto extension = at->path().extension().string();
    if (is_file(at->path()) &&
        std::find(model_extensions.begin(), model_extensions.end(), extension) != model_extensions.end())
      result.emplace_back(at->path().lexically_relative(path).generic_string(), at->path());
  }
  if (error) throw unreadable(path, ": " + error.message());
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

std::string file_fingerprint(std::span<const std::filesystem::path> files) {
  Sha256 hash;
  std::set<FilePath> seen;
  for (const auto& path : files)
    for (const auto& [name, file] : files_of(path)) {
      std::error_code error;
      const auto real = std::filesystem::canonical(file, error);
      if (error) throw unreadable(file, ": " + error.message());
      if (!seen.insert(real).second) continue;
      add_text(hash, name + "\n");
      add_content(hash, file);
    }
  return hash.hex();
}

}  // namespace daguerre::evaluation
