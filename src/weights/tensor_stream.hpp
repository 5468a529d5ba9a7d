#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daguerre/weights/gguf_writer.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// A tensor that is written: one or more stored ones, as rows one behind the other, their numbers converted
/// to `dtype` where that is another floating-point type or one of blocks.
struct StreamedTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::vector<std::pair<StateDict, std::string>> sources;  ///< in rows' order, and their names
};

/// What `tensors` take, without the header.
std::uint64_t data_bytes(const std::vector<StreamedTensor>& tensors);

/// Writes a new file, tensor by tensor, in the reference's order: falling types, then names. `written` is
/// told how many bytes each piece had, and may throw to stop. Throws FileError, and WeightError for numbers
/// that `dtype` cannot hold. The file stays as far as it got.
void stream_safetensors(const std::filesystem::path& path, std::vector<StreamedTensor> tensors,
                        const std::map<std::string, std::string>& metadata,
                        const std::function<void(std::uint64_t)>& written);

/// The same as a GGUF file, in the order of names. `dtype` may be of blocks, of which rows hold whole ones.
void stream_gguf(const std::filesystem::path& path, std::vector<StreamedTensor> tensors,
                 const std::map<std::string, GgufMetadata>& metadata,
                 const std::function<void(std::uint64_t)>& written);

/// Whether elements of that type are numbers with a fraction that can be converted.
bool is_convertible(DType dtype);

}  // namespace daguerre::weights
