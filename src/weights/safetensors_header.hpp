#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/safetensors.hpp"

namespace daguerre::weights {

/// Longest header that is read or written, in bytes: the format's limit. Trainers of LoRAs write the tags of
/// their whole data set into it.
inline constexpr std::size_t max_header_bytes = 100'000'000;

/// The key of a header that holds texts, not a tensor.
inline constexpr std::string_view metadata_key = "__metadata__";

/// A header whose checks have all passed.
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
  std::size_t data_begin = 0;  ///< where the data begins, from the start of the file
};

/// Checks and reads the header of a whole safetensors file. Throws FormatError; `name` stands for the file.
/// `progress`, where one is given, is told now and then how many of the file's bytes were looked at.
SafetensorsHeader read_header(std::span<const std::byte> file, const std::string& name,
                              const SafetensorsOptions& options,
                              const std::function<void(std::size_t)>& progress = {});

/// What a file begins with whose data follow in the order of `tensors`: the header's length and the header,
/// as the reference writes it. Throws ArgumentError for one that is longer than the limit.
std::vector<std::byte> header_bytes(std::span<const TensorInfo> tensors,
                                    const std::map<std::string, std::string>& metadata);

}  // namespace daguerre::weights
