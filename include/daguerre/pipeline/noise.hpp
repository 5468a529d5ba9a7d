#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "daguerre/core/random.hpp"

namespace daguerre {

/// In which order the numbers of a film `[F, h, w, C]` are drawn.
enum class FilmOrder {
  channels_first,  ///< `[C, F, h, w]`
  frames_first,    ///< `[F, C, h, w]`
};

/// The random numbers of a run, in the order in which it needs them. Shapes are `[N, h, w, C]` for pictures,
/// `[N, F, h, w, C]` for films and `[N, L, C]` for tokens.
class NoiseStreams {
 public:
  virtual ~NoiseStreams() = default;
  /// What a draw is for. A source that replays a recording needs to know; a generator does not.
  enum class Use { initial, autoencoder, step, decoder };
  /// `order` is that of films.
  virtual Tensor<float> draw(Use use, const Shape& shape, FilmOrder order) = 0;
  Tensor<float> draw(Use use, const Shape& shape) { return draw(use, shape, FilmOrder::channels_first); }
};

/// One generator for each image of a batch, so that an image does not depend on the batch it is in. Each
/// draws `[1, C, h, w]` of a picture, the reference's order.
class SeededNoise final : public NoiseStreams {
 public:
  /// `generator` as for make_generator; one seed for each image.
  SeededNoise(std::string_view generator, std::vector<std::uint64_t> seeds);
  using NoiseStreams::draw;
  Tensor<float> draw(Use use, const Shape& shape, FilmOrder order) override;

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
  using NoiseStreams::draw;
  Tensor<float> draw(Use use, const Shape& shape, FilmOrder order) override;

 private:
  NoiseStreams& base_;
  NoiseStreams& other_;
  double strength_;
};

}  // namespace daguerre
