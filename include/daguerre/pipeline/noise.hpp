#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "daguerre/core/random.hpp"

namespace daguerre {

/// The random numbers of a run, in the order in which it needs them. Shapes are `[N, h, w, C]`.
class NoiseStreams {
 public:
  virtual ~NoiseStreams() = default;
  /// What a draw is for. A source that replays a recording needs to know; a generator does not.
  enum class Use { initial, autoencoder, step };
  virtual Tensor<float> draw(Use use, const Shape& shape) = 0;
};

/// One generator for each image of a batch, so that an image does not depend on the batch it is in. Each
/// draws
/// `[1, C, h, w]`, the reference's order.
class SeededNoise final : public NoiseStreams {
 public:
  /// `generator` as for make_generator; one seed for each image.
  SeededNoise(std::string_view generator, std::vector<std::uint64_t> seeds);
  Tensor<float> draw(Use use, const Shape& shape) override;

 private:
  std::vector<std::unique_ptr<Generator>> generators_;
};

/// Noise of `base` whose first draws (Use::initial) are turned towards those of `other`: for each column of
/// each channel on the arc between both, as the web UI's slerp has it. `base` and `other` outlive this.
class VariedNoise final : public NoiseStreams {
 public:
  /// `strength` is 0 (base alone) to 1 (other alone).
  VariedNoise(NoiseStreams& base, NoiseStreams& other, double strength)
      : base_(base), other_(other), strength_(strength) {}
  Tensor<float> draw(Use use, const Shape& shape) override;

 private:
  NoiseStreams& base_;
  NoiseStreams& other_;
  double strength_;
};

}  // namespace daguerre
