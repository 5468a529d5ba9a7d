#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::evaluation {

/// An array of numpy's as it is stored.
struct NpyArray {
  std::string type;  ///< numpy's: "<f8", "|u1"
  bool fortran_order = false;
  Shape shape;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  ///< of the bytes
  bool is_mapped = false;             ///< they are part of a mapped file
};

/// A file of numpy's savez or savez_compressed: a ZIP archive (of any size) of arrays. What is stored is
/// mapped, what is compressed is taken apart when it is asked for. Immutable, and safe from many threads.
class NpzFile {
 public:
  /// Throws FileError; FormatError, naming the file and what is wrong, for what is no such archive.
  static NpzFile open(const std::filesystem::path& path);

  /// Of the arrays, without ".npy", in the order of the file.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const;
  /// Throws FormatError where it is not there, malformed, its checksum is another (looked at up to 64 MB of
  /// what is stored), or 2 GB compressed.
  NpyArray array(const std::string& name) const;
  /// An array of float32 or float64 numbers. Likewise.
  Tensor<double> doubles(const std::string& name) const;

 private:
  struct Entry {
    std::string name;
    std::uint32_t checksum = 0;
    bool is_compressed = false;
    std::uint64_t packed_size = 0, size = 0, header = 0;
  };
  [[noreturn]] void fail(const std::string& what) const;
  const Entry* find(const std::string& name) const;
  std::span<const std::byte> packed(const Entry& entry) const;

  std::filesystem::path path_;
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
  bool is_mapped_ = false;
  std::vector<Entry> entries_;
};

/// Writes such a file, as numpy's savez does. Throws FileError.
void save_npz(const std::filesystem::path& path,
              const std::vector<std::pair<std::string, Tensor<double>>>& arrays);

}  // namespace daguerre::evaluation
