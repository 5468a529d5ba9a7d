#pragma once

#include <cstddef>
#include <span>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/shape.hpp"

/// ggml's blocks, decoded: compiled once for each instruction set that helps, and chosen at run time. All
/// give the same bits, those of gguf-py: products and sums are rounded one by one.
namespace daguerre::ops::blocks {

/// Writes what `count` whole blocks hold, in float32, one behind the other.
using Decode = void (*)(const std::byte* blocks, Index count, float* out);

/// The one for this machine. Throws ArgumentError for a type that is none of blocks.
Decode decoder_of(DType dtype);
/// All that this machine can run, the plain one last; for tests.
struct Decoders {
  const char* instruction_set;
  Decode (*of)(DType dtype);  ///< nullptr for a type that is none of blocks
};
std::span<const Decoders> available_decoders();

namespace baseline {
Decode decoder_of(DType dtype);
}
namespace avx2 {
Decode decoder_of(DType dtype);
}

}  // namespace daguerre::ops::blocks
