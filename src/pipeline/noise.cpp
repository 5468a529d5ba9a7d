#include "daguerre/pipeline/noise.hpp"

#include <cmath>

#include "daguerre/core/layout.hpp"

namespace daguerre {
namespace {

struct ColumnAngle {
  double low = 0.0, high = 0.0, dot = 0.0;  ///< squares of both, and the product
  double cosine() const { return dot / std::sqrt(low * high); }
};

/// Between the columns of each channel of one image `[1, h, w, C]`, or film.
std::vector<ColumnAngle> column_angles(const Tensor<float>& low, const Tensor<float>& high) {
  const auto columns = static_cast<std::size_t>(low.dim(-2) * low.dim(-1));
  std::vector<ColumnAngle> angles(columns);
  for (std::size_t i = 0; i < static_cast<std::size_t>(low.size()); ++i) {
    const double a = static_cast<double>(low.data()[i]), b = static_cast<double>(high.data()[i]);
    auto& angle = angles[i % columns];
    angle.low += a * a;
    angle.high += b * b;
    angle.dot += a * b;
  }
  return angles;
}

/// From `low` so far on the arc to `high`; where they all but coincide, the web UI mixes them the other way
/// round.
Tensor<float> on_arc(const Tensor<float>& low, const Tensor<float>& high, double part) {
  const auto angles = column_angles(low, high);
  double mean = 0.0;
  for (const auto& angle : angles) mean += angle.cosine() / static_cast<double>(angles.size());
  Tensor<float> result(low.shape());
  for (std::size_t i = 0; i < static_cast<std::size_t>(low.size()); ++i) {
    double from = part, to = 1.0 - part;
    if (!(mean > 0.9995)) {
      const double omega = std::acos(angles[i % angles.size()].cosine()), sine = std::sin(omega);
      from = std::sin((1.0 - part) * omega) / sine;
      to = std::sin(part * omega) / sine;
    }
    result.data()[i] = static_cast<float>(from * static_cast<double>(low.data()[i]) +
                                          to * static_cast<double>(high.data()[i]));
  }
  return result;
}

/// For one image of `shape[N, …]`, `[1, …]`.
Tensor<float> drawn(Generator& generator, const Shape& shape, FilmOrder order) {
  const auto one = shape.with(0, 1);
  if (shape.rank() == 3) return generator.randn(one);
  if (shape.rank() == 4) return to_channels_last(generator.randn({1, shape[3], shape[1], shape[2]}));
  const Index frames = shape[1], height = shape[2], width = shape[3], channels = shape[4];
  const auto noise = order == FilmOrder::frames_first
                         ? to_channels_last(generator.randn({frames, channels, height, width}))
                         : to_channels_last(generator.randn({1, channels, frames * height, width}));
  return noise.reshape(one);
}

}  // namespace

SeededNoise::SeededNoise(std::string_view generator, std::vector<std::uint64_t> seeds) {
  for (const auto seed : seeds) generators_.push_back(make_generator(generator, seed));
}

Tensor<float> SeededNoise::draw(Use, const Shape& shape, FilmOrder order) {
  if (shape.rank() < 3 || shape.rank() > 5 || shape[0] != static_cast<Index>(generators_.size()))
    throw ArgumentError("noise", "asked for " + to_string(shape) + " of " +
                                     std::to_string(generators_.size()) +
                                     " generators, expected [N, h, w, C], [N, F, h, w, C] or [N, L, C]");
  std::vector<Tensor<float>> images;
  for (const auto& generator : generators_) images.push_back(drawn(*generator, shape, order));
  return concat_leading<float>(images);
}

Tensor<float> VariedNoise::draw(Use use, const Shape& shape, FilmOrder order) {
  auto drawn = base_.draw(use, shape, order);
  if (use != Use::initial || strength_ == 0.0) return drawn;
  const auto other = other_.draw(use, shape, order);
  std::vector<Tensor<float>> images;
  for (Index n = 0; n < drawn.dim(0); ++n)
    images.push_back(on_arc(drawn.slice(n, n + 1), other.slice(n, n + 1), strength_));
  return concat_leading<float>(images);
}

}  // namespace daguerre
