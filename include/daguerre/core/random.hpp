#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "daguerre/core/tensor.hpp"

namespace daguerre {

/// A stream of standard normal random numbers. Each draw goes on where the last one ended. Not safe for use
/// by several threads at once; give each its own.
class Generator {
 public:
  virtual ~Generator() = default;

  /// Standard normal numbers, in the order of the elements of `shape`. The references draw the noise of a
  /// latent as [1, C, H, W]; `to_channels_last` (core/layout.hpp) brings it into this library's order.
  virtual Tensor<float> randn(const Shape& shape) = 0;

  /// An independent generator that draws from here on what this one would.
  virtual std::unique_ptr<Generator> clone() const = 0;

 protected:
  Generator() = default;
  Generator(const Generator&) = default;
  Generator& operator=(const Generator&) = default;
};

/// What `torch.Generator("cpu").manual_seed(seed)` draws: the Mersenne Twister mt19937 (Matsumoto and
/// Nishimura, 1998), seeded with the low 32 bits of `seed`. Uniform numbers equal torch's; normal ones may
/// differ in the last bits, because torch's own log, sin and cos depend on the processor.
class TorchCpuGenerator final : public Generator {
 public:
  explicit TorchCpuGenerator(std::uint64_t seed);

  /// `torch.randn`. Like there, draws below 16 elements take another path than larger ones, so that
  /// one draw of 32 is not two draws of 16 or thirty-two of 1.
  Tensor<float> randn(const Shape& shape) override;
  /// `torch.rand`: uniform in [0, 1), multiples of 2^-24.
  Tensor<float> uniform(const Shape& shape);

  std::unique_ptr<Generator> clone() const override;

 private:
  std::uint32_t draw();
  float draw_uniform();
  double draw_uniform_double();
  double draw_normal();

  std::array<std::uint32_t, 624> state_;
  std::size_t next_ = 624;               ///< the element of `state_` to be used next; 624: renew them first
  std::optional<double> second_normal_;  ///< Box-Muller gives two; the other one waits here
};

/// What a CUDA device draws for `torch.randn`, as front ends reproduce it on the CPU: Philox4x32-10 (Salmon
/// et al., 2011) with key `seed` and counter (draw, 0, element, 0), and the sine half of Box-Muller.
class CudaPhiloxGenerator final : public Generator {
 public:
  explicit CudaPhiloxGenerator(std::uint64_t seed) : seed_(seed) {}

  /// Throws ArgumentError for more than 2^32 elements.
  Tensor<float> randn(const Shape& shape) override;
  std::unique_ptr<Generator> clone() const override;

 private:
  std::uint64_t seed_;
  std::uint32_t draws_ = 0;
};

/// The generator called `name`: "torch-cpu" or "cuda-philox". Throws ArgumentError for any other.
std::unique_ptr<Generator> make_generator(std::string_view name, std::uint64_t seed);

}  // namespace daguerre
