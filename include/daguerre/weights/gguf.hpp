#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/safetensors.hpp"

namespace daguerre::weights {

/// What a metadata value of a GGUF file is; the numbers are the file's.
enum class GgufType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};
/// "U8", "BOOL", "STRING" …
std::string_view name(GgufType type);

/// A metadata value where it lies in the file, which outlives it. It is checked; what is asked for is read
/// then.
class GgufValue {
 public:
  /// A value of `type` in `bytes`, without the type itself. The bytes must have been checked.
  GgufValue(GgufType type, std::span<const std::byte> bytes) noexcept : type_(type), bytes_(bytes) {}

  GgufType type() const noexcept { return type_; }
  /// What an array's items are, and how many there are; a value that is no array is one item.
  GgufType item_type() const;
  std::uint64_t size() const;

  /// Numbers of integer types that fit; nullopt for others.
  std::optional<std::int64_t> integer() const;
  std::optional<std::uint64_t> natural() const;
  /// Any number, in double.
  std::optional<double> number() const;
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;
  /// The items of an array; empty for others.
  std::vector<GgufValue> items() const;

  /// As JSON, bytes that are no UTF-8 replaced; arrays of more than `most` items as how many of what they
  /// are: "[32128 STRING]".
  std::string to_json(std::size_t most = 64) const;

 private:
  GgufType type_;
  std::span<const std::byte> bytes_;
};

/// Whether a file begins as GGUF files do. False for one that cannot be read.
bool is_gguf(const std::filesystem::path& path);

/// A GGUF file of version 2 or 3, little endian, memory-mapped or in a buffer; its header is fully checked
/// before anything else is done (all checks of ggml's reader, and names that are not UTF-8 or hold a NUL
/// refused). Shapes are in PyTorch's order, the outermost extent first; tensors that ComfyUI-GGUF reshaped
/// have the shape that they had before. Immutable, safe to use from several threads, and cheap to copy;
/// copies share the mapping. See SafetensorsFile for files that are cut short while they are mapped.
class GgufFile final : public TensorFile {
 public:
  /// Maps `path`. Throws FileError, or FormatError naming the file and what is wrong in it.
  static GgufFile open(const std::filesystem::path& path, const SafetensorsOptions& options = {});
  /// Reads from memory; `bytes` is kept, not copied. `name` stands for the file in messages.
  static GgufFile from_memory(std::shared_ptr<const std::vector<std::byte>> bytes, std::string name,
                              const SafetensorsOptions& options = {});

  const std::string& name() const noexcept override;
  std::span<const TensorInfo> tensors() const noexcept override;
  /// Every value as text: strings as they are, others as JSON; shapes that were applied (`comfy.gguf.
  /// orig_shape.*`) and long arrays (vocabularies) are not among them.
  const std::map<std::string, std::string>& metadata() const noexcept override;
  /// Every value. They are in the file.
  const std::map<std::string, GgufValue, std::less<>>& values() const noexcept;

  std::uint32_t version() const noexcept;
  /// The data's, in bytes: `general.alignment`, or 32.
  std::size_t alignment() const noexcept;
  /// Where the data begin, counted from the start of the file.
  std::size_t data_begin() const noexcept;

  /// nullptr when there is no such tensor.
  const TensorInfo* find(std::string_view tensor_name) const noexcept;
  /// The raw bytes of a tensor, as stored.
  std::span<const std::byte> bytes(const TensorInfo& info) const noexcept;

  ops::WeightSource weight(const TensorInfo& info) const override;
  Tensor<float> floats(const TensorInfo& info, const MemoryPool* pool = nullptr) const override;
  void release_pages() const noexcept override;
  void release_pages(const TensorInfo& info) const noexcept override;

 private:
  struct State;
  explicit GgufFile(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::weights
