#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/weights/tensor_file.hpp"

namespace daguerre::weights {

struct SafetensorsOptions {
  /// Accept bytes behind the last tensor, as some published files have. Off: they are an error, because a
  /// file that is two things at once is a classic way past a scanner.
  bool allow_trailing_bytes = false;
  /// That convert what is read.
  Threads threads = 1;
};

/// A safetensors file, memory-mapped or in a buffer, its header fully checked before anything else is done
/// (all checks of the reference implementation, in its order, and duplicate keys and deep nesting refused).
/// Immutable, safe to use from several threads, and cheap to copy; copies share the mapping. A file that
/// someone cuts short while it is mapped ends the process (SIGBUS), as with every mapped file; replace files
/// by renaming, as SafetensorsWriter does, or read such ones `from_memory`.
class SafetensorsFile final : public TensorFile {
 public:
  /// Maps `path`. Throws FileError, or FormatError naming the file and what is wrong in it.
  static SafetensorsFile open(const std::filesystem::path& path, const SafetensorsOptions& options = {});
  /// Reads from memory; `bytes` is kept, not copied. `name` stands for the file in messages.
  static SafetensorsFile from_memory(std::shared_ptr<const std::vector<std::byte>> bytes, std::string name,
                                     const SafetensorsOptions& options = {});

  /// The file's path or the name it was given.
  const std::string& name() const noexcept override;
  std::filesystem::path path() const override;
  /// All tensors in the order of their data.
  std::span<const TensorInfo> tensors() const noexcept override;
  /// The `__metadata__` entries.
  const std::map<std::string, std::string>& metadata() const noexcept override;

  /// nullptr when there is no such tensor.
  const TensorInfo* find(std::string_view tensor_name) const noexcept;
  bool contains(std::string_view tensor_name) const noexcept { return find(tensor_name) != nullptr; }

  /// The raw bytes of a tensor, as stored; not aligned.
  std::span<const std::byte> bytes(const TensorInfo& info) const noexcept;

  /// The same as a weight, which keeps the file open.
  ops::WeightSource weight(const TensorInfo& info) const override;
  Tensor<float> floats(const TensorInfo& info, const MemoryPool* pool = nullptr) const override;
  void release_pages() const noexcept override;
  void release_pages(const TensorInfo& info) const noexcept override;

  /// A tensor converted to `T` (float, double, bfloat16, half, std::int32_t, std::int64_t). Booleans become 0
  /// and 1, fractions are cut off for integer types. Throws WeightError when it is missing, or an integer
  /// type cannot hold one of its values.
  template <class T>
  Tensor<T> read(std::string_view tensor_name) const;
  /// The same for an entry of this file, or for rows of one: shape and bytes are `info`'s. The storage comes
  /// from `pool`, where one is given.
  template <class T>
  Tensor<T> read(const TensorInfo& info, const MemoryPool* pool = nullptr) const;

 private:
  struct State;
  explicit SafetensorsFile(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Collects tensors and writes them as one safetensors file.
class SafetensorsWriter {
 public:
  /// Adds a tensor; T is one of the types that `SafetensorsFile::read` takes. A name used twice is an
  /// ArgumentError.
  template <class T>
  void add(std::string tensor_name, const Tensor<T>& tensor);
  void set_metadata(std::string key, std::string value);

  /// The whole file as bytes.
  std::vector<std::byte> to_bytes() const;
  /// Writes a temporary file beside `path` and renames it, so that no reader ever sees half a file. Throws
  /// FileError.
  void save(const std::filesystem::path& path) const;

 private:
  struct Entry {
    DType dtype;
    Shape shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace daguerre::weights
