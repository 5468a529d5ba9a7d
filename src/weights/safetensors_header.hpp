#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/safetensors.hpp"

namespace daguerre::weights {

/// Longest header that is read or written, in bytes. The format allows ten times as much, but a header of
/// that size takes hundreds of megabytes to read, and those of published models have less than two.
inline constexpr std::size_t max_header_bytes = 10'000'000;

/// The key of a header that holds texts, not a tensor.
inline constexpr std::string_view metadata_key = "__metadata__";

/// A header whose checks have all passed.
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
  std::size_t data_begin = 0;  ///< where the data begins, from the start of the file
};

/// Checks and reads the header of a whole safetensors file. Throws FormatError; `name` stands for the file.
SafetensorsHeader read_header(std::span<const std::byte> file, const std::string& name,
                              const SafetensorsOptions& options);

}  // namespace daguerre::weights
