#include "daguerre/weights/random_tensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf_writer.hpp"

namespace daguerre::weights {
namespace {

/// Steele, Lea & Flood 2014: a bijection whose results look independent.
constexpr std::uint64_t split_mix(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31);
}

constexpr std::uint64_t golden = 0x9E3779B97F4A7C15U;

/// FNV-1a, which is the same everywhere.
constexpr std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return hash;
}

float rounded(float value, DType dtype) {
  if (dtype == DType::f16) return static_cast<float>(half(value));
  if (dtype == DType::bf16) return static_cast<float>(bfloat16(value));
  return value;
}

class Constant final : public ops::RowDecoder {
 public:
  explicit Constant(float value) : value_(value) {}
  void decode(const ops::WeightSource& source, Index begin, Index end, float* out) const override {
    std::fill_n(out, (end - begin) * source.shape.tail().size(), value_);
  }

 private:
  float value_;
};

class Uniform final : public ops::RowDecoder {
 public:
  Uniform(std::uint64_t seed, DType dtype) : seed_(seed), dtype_(dtype) {}
  void decode(const ops::WeightSource& source, Index begin, Index end, float* out) const override {
    const Index width = source.shape.tail().size();
    const float range = std::sqrt(3.0f / static_cast<float>(width));
    for (Index row = begin; row < end; ++row) {
      std::uint64_t state = split_mix(seed_ + static_cast<std::uint64_t>(row) * golden);
      for (Index i = 0; i < width; ++i) {
        const auto bits = static_cast<std::int64_t>(split_mix(state += golden)) >> 40;  // 24, with a sign
        *out++ = rounded(range * (static_cast<float>(bits) * 0x1p-23f), dtype_);
      }
    }
  }

 private:
  std::uint64_t seed_;
  DType dtype_;
};

/// Blocks of a matrix, drawn from a few that are rounded from uniform numbers: to round all of them would
/// take hours at the size of published models.
ops::WeightSource drawn_blocks(std::uint64_t seed, DType dtype, const Shape& shape) {
  constexpr Index different = 512;
  const auto block = block_of(dtype);
  const ops::WeightSource few{
      .dtype = DType::f32, .shape = {different * block.elements / shape[1] + 1, shape[1]}, .bytes = {}};
  Tensor<float> values(few.shape);
  Uniform(seed, DType::f32).decode(few, 0, few.shape[0], values.data());
  const auto rounded = quantised(dtype, values);
  const auto size = static_cast<std::size_t>(block.bytes);
  const std::uint64_t choices = rounded.size() / size;
  const auto bytes =
      std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(bytes_of(dtype, shape.size())));
  std::uint64_t state = seed;
  for (std::size_t at = 0; at < bytes->size(); at += size)
    std::memcpy(bytes->data() + at, rounded.data() + split_mix(state += golden) % choices * size, size);
  return ops::block_source(dtype, shape, *bytes, bytes);
}

}  // namespace

RandomTensors::RandomTensors(std::uint64_t seed, DType dtype) : seed_(seed), dtype_(dtype) {
  if (is_block(dtype))
    (void)quantised(dtype,
                    Tensor<float>::zeros({block_of(dtype).elements}));  // throws where it is not written
  else if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16)
    throw ArgumentError("weights", "random weights of type " + std::string(daguerre::name(dtype)) +
                                       ", expected F32, F16, BF16 or one of blocks");
}

ops::WeightSource RandomTensors::weight(const TensorInfo& info) const {
  const auto own_seed = split_mix(seed_ ^ hash_of(info.name));
  if (is_block(info.dtype)) return drawn_blocks(own_seed, info.dtype, info.shape);
  std::shared_ptr<const ops::RowDecoder> decoder;
  if (info.shape.rank() < 2) {
    const bool gain = info.name.ends_with("weight") || info.name.ends_with("scale") ||
                      info.name.ends_with("gamma") || info.name.ends_with("std") ||
                      info.name.ends_with("var");
    decoder = std::make_shared<Constant>(gain ? 1.0f : 0.0f);
  } else {
    decoder = std::make_shared<Uniform>(own_seed, info.dtype);
  }
  return {.dtype = info.dtype, .shape = info.shape, .bytes = {}, .decoder = std::move(decoder)};
}

std::optional<TensorInfo> RandomTensors::supply(std::string_view name, const Shape& shape) const {
  const bool makes_blocks = shape.rank() == 2 && shape[1] > 0 && shape[1] % block_of(dtype_).elements == 0;
  const DType dtype = is_block(dtype_) && !makes_blocks ? DType::f16 : dtype_;
  return TensorInfo{std::string(name), dtype, shape, 0,
                    static_cast<std::size_t>(bytes_of(dtype, shape.size()))};
}

}  // namespace daguerre::weights
