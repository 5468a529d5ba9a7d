#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "weights/gguf_types.hpp"

namespace daguerre::weights {

/// A header whose checks have all passed.
struct GgufHeader {
  std::uint32_t version = 0;
  std::size_t alignment = default_gguf_alignment;
  std::map<std::string, GgufValue, std::less<>> values;  ///< which point into the file
  std::vector<TensorInfo> tensors;                       ///< in the order of their data
  std::size_t data_begin = 0;                            ///< from the start of the file
};

/// Checks and reads the header of a whole GGUF file. Throws FormatError; `name` stands for the file.
GgufHeader read_gguf_header(std::span<const std::byte> file, const std::string& name,
                            const SafetensorsOptions& options);

}  // namespace daguerre::weights
