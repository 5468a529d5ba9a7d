#include "daguerre/core/random.hpp"

#include <cmath>
#include <numbers>
#include <string>
#include <utility>

namespace daguerre {
namespace {

constexpr std::size_t mt_size = 624;
constexpr std::size_t mt_shift = 397;

/// torch transforms uniform numbers in blocks: the first eight give radii, the others angles.
constexpr Index block_size = 16;

void normalise_block(float* block) {
  constexpr Index half = block_size / 2;
  for (Index i = 0; i < half; ++i) {
    const float u1 = 1.0f - block[i];  // (0, 1], for the logarithm
    const float radius = std::sqrt(-2.0f * std::log(u1));
    const float angle = 2.0f * std::numbers::pi_v<float> * block[i + half];
    block[i] = radius * std::cos(angle);
    block[i + half] = radius * std::sin(angle);
  }
}

struct Product {
  std::uint32_t high, low;
};

Product multiply(std::uint32_t a, std::uint32_t b) {
  const std::uint64_t product = std::uint64_t{a} * b;
  return {static_cast<std::uint32_t>(product >> 32), static_cast<std::uint32_t>(product)};
}

/// Philox4x32-10 with its published constants.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t seed) {
  auto key0 = static_cast<std::uint32_t>(seed);
  auto key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product p0 = multiply(0xD2511F53u, counter[0]);
    const Product p1 = multiply(0xCD9E8D57u, counter[2]);
    counter = {p1.high ^ counter[1] ^ key0, p1.low, p0.high ^ counter[3] ^ key1, p0.low};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

}  // namespace

TorchCpuGenerator::TorchCpuGenerator(std::uint64_t seed) : state_{} {
  state_[0] = static_cast<std::uint32_t>(seed);
  for (std::uint32_t i = 1; i < mt_size; ++i)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

std::uint32_t TorchCpuGenerator::draw() {
  if (next_ == mt_size) {
    for (std::size_t i = 0; i < mt_size; ++i) {
      const std::uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % mt_size] & 0x7FFFFFFFu);
      state_[i] = state_[(i + mt_shift) % mt_size] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908B0DFu : 0u);
    }
    next_ = 0;
  }
  std::uint32_t y = state_[next_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9D2C5680u;
  y ^= (y << 15) & 0xEFC60000u;
  return y ^ (y >> 18);
}

float TorchCpuGenerator::draw_uniform() {
  return static_cast<float>(draw() & 0xFFFFFFu) * 0x1p-24f;
}

double TorchCpuGenerator::draw_uniform_double() {
  const std::uint64_t high = draw();
  const std::uint64_t bits = high << 32 | draw();
  return static_cast<double>(bits & 0x1FFFFFFFFFFFFFu) * 0x1p-53;
}

double TorchCpuGenerator::draw_normal() {
  if (second_normal_) return *std::exchange(second_normal_, std::nullopt);
  const double u1 = draw_uniform_double();
  const double u2 = draw_uniform_double();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2));
  const double angle = 2.0 * std::numbers::pi * u1;
  second_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

Tensor<float> TorchCpuGenerator::uniform(const Shape& shape) {
  Tensor<float> result(shape);
  for (float& value : result.span()) value = draw_uniform();
  return result;
}

Tensor<float> TorchCpuGenerator::randn(const Shape& shape) {
  const Index size = shape.size();
  if (size < block_size) {
    Tensor<float> result(shape);
    for (float& value : result.span()) value = static_cast<float>(draw_normal());
    return result;
  }
  Tensor<float> result = uniform(shape);
  for (Index i = 0; i + block_size <= size; i += block_size) normalise_block(result.data() + i);
  if (size % block_size != 0) {
    // torch draws the last block anew, over numbers that were already made.
    float* last = result.data() + size - block_size;
    for (Index i = 0; i < block_size; ++i) last[i] = draw_uniform();
    normalise_block(last);
  }
  return result;
}

std::unique_ptr<Generator> TorchCpuGenerator::clone() const {
  return std::make_unique<TorchCpuGenerator>(*this);
}

Tensor<float> CudaPhiloxGenerator::randn(const Shape& shape) {
  if (shape.size() > Index{1} << 32)
    throw ArgumentError("random",
                        "cuda-philox draws at most 2^32 numbers at once, asked for " + to_string(shape));
  Tensor<float> result(shape);
  std::uint32_t element = 0;
  for (float& value : result.span()) {
    const auto bits = philox({draws_, 0, element++, 0}, seed_);
    // The middle of each of 2^32 intervals: never zero, so the logarithm is finite.
    const double u1 = (bits[0] + 0.5) * 0x1p-32;
    const double u2 = (bits[1] + 0.5) * 0x1p-32;
    value = static_cast<float>(std::sqrt(-2.0 * std::log(u1)) * std::sin(2.0 * std::numbers::pi * u2));
  }
  ++draws_;
  return result;
}

std::unique_ptr<Generator> CudaPhiloxGenerator::clone() const {
  return std::make_unique<CudaPhiloxGenerator>(*this);
}

std::unique_ptr<Generator> make_generator(std::string_view name, std::uint64_t seed) {
  if (name == "torch-cpu") return std::make_unique<TorchCpuGenerator>(seed);
  if (name == "cuda-philox") return std::make_unique<CudaPhiloxGenerator>(seed);
  throw ArgumentError("random", "there is no generator \"" + std::string(name) +
                                    "\"; there are \"torch-cpu\" and \"cuda-philox\"");
}

}  // namespace daguerre
