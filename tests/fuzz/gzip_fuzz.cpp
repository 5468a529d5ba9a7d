#include <cstdint>
#include <span>

#include "daguerre/core/error.hpp"
#include "text/gzip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    daguerre::text::gunzip(std::as_bytes(std::span(data, size)), std::size_t{1} << 20, "fuzz");
  } catch (const daguerre::Error&) {
  }
  return 0;
}
