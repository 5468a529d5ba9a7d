#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "daguerre/weights/gguf_writer.hpp"
#include "daguerre/weights/tensor_file.hpp"

namespace daguerre::weights {

/// What a GGUF file begins with, padded to where the data begin. The tensors' data follow in their order,
/// each beginning at `begin`, which is a multiple of `alignment`. Throws ArgumentError for tensors that GGUF
/// cannot hold: of more than four axes, of types that it has not, names that are too long, no UTF-8 or with a
/// NUL.
std::vector<std::byte> gguf_header_bytes(std::span<const TensorInfo> tensors,
                                         const std::map<std::string, GgufMetadata>& metadata,
                                         std::size_t alignment);

/// The next multiple of `alignment`.
constexpr std::size_t aligned(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace daguerre::weights
