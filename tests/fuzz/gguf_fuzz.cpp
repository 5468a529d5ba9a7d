#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf.hpp"

// The first byte is for the options, the rest a file, of which everything is read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    const auto file = daguerre::weights::GgufFile::from_memory(
        std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end()), "fuzz",
        {.allow_trailing_bytes = (data[0] & 1) != 0});
    for (const auto& [key, value] : file.values()) (void)value.to_json();
    for (const auto& tensor : file.tensors()) {
      if (file.bytes(tensor).size() != tensor.end - tensor.begin) __builtin_trap();
      (void)file.floats(tensor);
    }
  } catch (const daguerre::Error&) {
  }
  return 0;
}
