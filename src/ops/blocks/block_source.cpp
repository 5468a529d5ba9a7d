#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "daguerre/core/error.hpp"
#include "daguerre/ops/weight_source.hpp"
#include "ops/blocks/block_rows.hpp"

namespace daguerre::ops {
namespace {

constexpr Index largest_block = 256;

}  // namespace

namespace blocks {

BlockRows::BlockRows(DType dtype, Index lead)
    : decode_(decoder_of(dtype)), size_(block_of(dtype)), lead_(lead) {}

void BlockRows::decode(const WeightSource& source, Index begin, Index end, float* out) const {
  const Index row = source.shape.tail().size();
  Index at = lead_ + begin * row;
  const Index stop = lead_ + end * row;
  while (at < stop) {
    const Index skipped = at % size_.elements;
    const std::byte* const from = source.bytes.data() + at / size_.elements * size_.bytes;
    const Index whole = skipped == 0 ? (stop - at) / size_.elements : 0;
    Index taken = whole * size_.elements;
    if (whole > 0) {
      decode_(from, whole, out);
    } else {
      std::array<float, largest_block> block;
      decode_(from, 1, block.data());
      taken = std::min(size_.elements - skipped, stop - at);
      std::copy_n(block.data() + skipped, taken, out);
    }
    out += taken;
    at += taken;
  }
}

}  // namespace blocks

WeightSource block_source(DType dtype, const Shape& shape, std::span<const std::byte> bytes,
                          std::shared_ptr<const void> owner, Index lead) {
  const auto decoder = std::make_shared<const blocks::BlockRows>(dtype, lead);
  const auto size = block_of(dtype);
  const Index held = static_cast<Index>(bytes.size()) / size.bytes * size.elements;
  if (lead < 0 || lead >= size.elements || shape.size() > held - lead)
    throw ArgumentError("weight", std::to_string(bytes.size()) + " bytes in " + std::string(name(dtype)) +
                                      " do not hold " + to_string(shape) + " behind " + std::to_string(lead) +
                                      " elements");
  return {.dtype = dtype, .shape = shape, .bytes = bytes, .owner = std::move(owner), .decoder = decoder};
}

}  // namespace daguerre::ops
