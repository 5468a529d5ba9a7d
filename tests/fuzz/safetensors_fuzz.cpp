#include <cstdint>
#include <span>

#include "daguerre/core/error.hpp"
#include "weights/safetensors_header.hpp"

// The first byte is for the options, the rest a file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    const auto file = std::as_bytes(std::span(data + 1, size - 1));
    const auto header =
        daguerre::weights::read_header(file, "fuzz", {.allow_trailing_bytes = (data[0] & 1) != 0});
    for (const auto& tensor : header.tensors)
      if (tensor.begin > tensor.end || header.data_begin + tensor.end > file.size()) __builtin_trap();
  } catch (const daguerre::Error&) {
  }
  return 0;
}
