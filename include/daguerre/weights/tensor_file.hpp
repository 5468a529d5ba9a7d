#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daguerre/core/tensor.hpp"
#include "daguerre/ops/weight_source.hpp"

namespace daguerre::weights {

using daguerre::DType;
using daguerre::element_type;
using daguerre::is_block;
using daguerre::name;
using daguerre::size_of;

/// One tensor of a file.
struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::size_t begin = 0;  ///< first byte, counted from where the file's data begin
  std::size_t end = 0;    ///< one past the last byte
  Index lead = 0;         ///< of rows cut out of blocks: elements of the first block that come before them
};

/// Named tensors that are stored somewhere: in a safetensors or GGUF file, or wherever a host keeps them.
/// Immutable, and safe to use from several threads.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  /// What to call it in messages: a path, as a rule.
  virtual const std::string& name() const noexcept = 0;
  /// The file; empty where there is none.
  virtual std::filesystem::path path() const { return {}; }
  /// All tensors in the order of their data.
  virtual std::span<const TensorInfo> tensors() const noexcept = 0;
  /// What the file says beside its tensors.
  virtual const std::map<std::string, std::string>& metadata() const noexcept = 0;

  /// A tensor as it is stored, or rows of one (shape and bytes are `info`'s); it keeps the file open. Throws
  /// WeightError for a type that cannot be converted.
  virtual ops::WeightSource weight(const TensorInfo& info) const = 0;
  /// The same in float32. The storage comes from `pool`, where one is given.
  virtual Tensor<float> floats(const TensorInfo& info, const MemoryPool* pool = nullptr) const;
  /// A tensor that is not listed and can be had all the same, in the shape that is asked for; as a rule none.
  virtual std::optional<TensorInfo> supply(std::string_view name, const Shape& shape) const;

  /// Tells the system that nothing of a mapped file will be needed soon: its pages no longer count as this
  /// process's memory. They come back when they are read.
  virtual void release_pages() const noexcept {}
  /// The same of one tensor's.
  virtual void release_pages(const TensorInfo& /*info*/) const noexcept {}

 protected:
  TensorFile() = default;
  TensorFile(const TensorFile&) = default;
  TensorFile& operator=(const TensorFile&) = default;
};

}  // namespace daguerre::weights
