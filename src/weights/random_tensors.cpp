#include "daguerre/weights/random_tensors.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "daguerre/core/error.hpp"

namespace daguerre::weights {
namespace {

/// Steele, Lea & Flood 2014: a bijection whose results look independent.
constexpr std::uint64_t split_mix(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31);
}

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
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15U;
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

}  // namespace

RandomTensors::RandomTensors(std::uint64_t seed, DType dtype) : seed_(seed), dtype_(dtype) {
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16)
    throw ArgumentError("weights", "random weights of type " + std::string(daguerre::name(dtype)) +
                                       ", expected F32, F16 or BF16");
}

ops::WeightSource RandomTensors::weight(const TensorInfo& info) const {
  std::shared_ptr<const ops::RowDecoder> decoder;
  if (info.shape.rank() < 2) {
    const bool gain =
        info.name.ends_with("weight") || info.name.ends_with("scale") || info.name.ends_with("gamma");
    decoder = std::make_shared<Constant>(gain ? 1.0f : 0.0f);
  } else {
    decoder = std::make_shared<Uniform>(split_mix(seed_ ^ hash_of(info.name)), dtype_);
  }
  return {.dtype = dtype_, .shape = info.shape, .bytes = {}, .decoder = std::move(decoder)};
}

std::optional<TensorInfo> RandomTensors::supply(std::string_view name, const Shape& shape) const {
  return TensorInfo{std::string(name), dtype_, shape, 0,
                    static_cast<std::size_t>(shape.size()) * size_of(dtype_)};
}

}  // namespace daguerre::weights
