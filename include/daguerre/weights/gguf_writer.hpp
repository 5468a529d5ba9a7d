#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::weights {

/// `values` in F32, F16, BF16 or, where rows make whole blocks, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K,
/// Q6_K, TQ1_0 or TQ2_0, as gguf-py and llama.cpp round them; to other than F32, numbers must be at most
/// 65504 in size. Throws ArgumentError for other types, rows and numbers.
std::vector<std::byte> quantised(DType dtype, const Tensor<float>& values);

/// What GgufWriter takes as metadata. Lists of texts and floats are what a vocabulary is written as.
using GgufMetadata =
    std::variant<bool, std::uint32_t, std::int32_t, std::uint64_t, float, std::string,
                 std::vector<std::int32_t>, std::vector<float>, std::vector<bool>, std::vector<std::string>>;

/// Collects tensors and writes them as one GGUF file of version 3.
class GgufWriter {
 public:
  /// Throws ArgumentError for an alignment that is no power of two.
  explicit GgufWriter(std::size_t alignment = 32);
  /// Adds a tensor, rounded as `quantised` does. Throws as that, and ArgumentError for a name used twice and
  /// for more than four axes.
  void add(std::string tensor_name, const Tensor<float>& tensor, DType dtype = DType::f32);
  /// Throws ArgumentError for a key used twice.
  void set(std::string key, GgufMetadata value);

  /// The whole file as bytes, tensors in the order in which they were added.
  std::vector<std::byte> to_bytes() const;
  /// Writes a temporary file beside `path` and renames it, so that no reader ever sees half a file. Throws
  /// FileError.
  void save(const std::filesystem::path& path) const;

 private:
  struct Entry {
    std::string name;
    DType dtype;
    Shape shape;
    std::vector<std::byte> bytes;
  };
  std::size_t alignment_;
  std::vector<Entry> entries_;
  std::map<std::string, GgufMetadata> metadata_;
};

}  // namespace daguerre::weights
