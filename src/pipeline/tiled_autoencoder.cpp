#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "daguerre/models/autoencoders/detail/tiles.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/norm_statistics.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "pipeline/name.hpp"
#include "pipeline/tile_axis.hpp"
#include "pipeline/tiled_parts.hpp"

namespace daguerre {
namespace {

/// A tile's first row and column in what it was cut from.
struct TilePlace {
  Index row = 0, column = 0;
};
using OnTile =
    std::function<Tensor<float>(const ops::Context& context, const Tensor<float>& tile, const TilePlace&)>;

/// Every so manieth pixel, so that the longer side is `longest` at most: of the values of the whole pictures,
/// as a sample of them. Sides stay multiples of `multiple`.
Tensor<float> thinned(const Tensor<float>& x, Index longest, Index multiple) {
  const auto scaled = [&](Index side) {
    const Index wanted = side * longest / std::max(x.dim(1), x.dim(2));
    return std::max(multiple, wanted / multiple * multiple);
  };
  const Index height = scaled(x.dim(1)), width = scaled(x.dim(2)), channels = x.dim(3);
  Tensor<float> result({x.dim(0), height, width, channels});
  float* to = result.data();
  const float* const from = x.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index y = 0; y < height; ++y)
      for (Index i = 0; i < width; ++i) {
        const Index row = n * x.dim(1) + (2 * y + 1) * x.dim(1) / (2 * height),
                    column = (2 * i + 1) * x.dim(2) / (2 * width);
        to = std::copy_n(from + (row * x.dim(2) + column) * channels, channels, to);
      }
  return result;
}

/// Mean and log variance side by side, which is what the reference blends.
Tensor<float> moments_of(const ops::Context& context, const Autoencoder::Distribution& distribution) {
  if (distribution.std.empty()) return distribution.mean;
  auto logs = distribution.std.clone();
  for (float& value : logs.span()) value = 2.0f * std::log(value);
  return ops::concat_channels(context, distribution.mean, logs);
}

/// Films `[1, F, H, W, C]` as their frames, and the other way: tiles are cut out of frames as of pictures.
Tensor<float> as_frames(const Tensor<float>& film) {
  return film.reshape({film.dim(1), film.dim(2), film.dim(3), film.dim(4)});
}
Tensor<float> as_one_film(const Tensor<float>& frames) {
  return frames.reshape({1, frames.dim(0), frames.dim(1), frames.dim(2), frames.dim(3)});
}

/// What a decoder draws, drawn for the whole film, so that its tiles have parts of the same noise: the first
/// tile's draws are made, those of others are looked up, each in turn of those of its shape.
class NoiseInTiles {
 public:
  /// `draw` is the whole film's, which has latents of that size.
  NoiseInTiles(const std::function<Tensor<float>(const Shape&)>& draw, Index height, Index width)
      : draw_(draw), height_(height), width_(width) {}

  /// What the decoder of `tile[F, h, w, C]` draws from.
  std::function<Tensor<float>(const Shape&)> of(const ops::Context& context, const Tensor<float>& tile,
                                                const TilePlace& place) {
    if (!draw_) return {};
    return [this, &context, place, height = tile.dim(1), width = tile.dim(2),
            used = std::make_shared<std::vector<bool>>()](const Shape& shape) {
      // [1, F, h, w, C] or planes [N, h, w], at whatever level of the decoder.
      const int rows = shape.rank() == 5 ? 2 : 1;
      const bool has_place = shape.rank() >= 3;
      const Index down = has_place ? shape[rows] / height : 0;
      const Index across = has_place ? shape[rows + 1] / width : 0;
      if (down < 1 || across < 1 || down * height != shape[rows] || across * width != shape[rows + 1])
        throw ArgumentError(pipeline_name, "a decoder that draws noise " + to_string(shape) +
                                               " cannot work in tiles of " + std::to_string(height) + " x " +
                                               std::to_string(width) + " latents");
      const auto wanted = shape.with(rows, down * height_).with(rows + 1, across * width_);
      const auto& whole = next_of(wanted, *used);
      Index before = 1;
      for (int axis = 0; axis < rows; ++axis) before *= shape[axis];
      const Index behind = shape.rank() > rows + 2 ? shape[rows + 2] : 1;
      const std::array<Index, 4> begin{0, place.row * down, place.column * across, 0};
      return ops::crop(context, whole.reshape({before, wanted[rows], wanted[rows + 1], behind}), begin,
                       {before, shape[rows], shape[rows + 1], behind})
          .reshape(shape);
    };
  }

 private:
  const Tensor<float>& next_of(const Shape& shape, std::vector<bool>& used) {
    used.resize(draws_.size());
    std::size_t i = 0;
    while (i < draws_.size() && (used[i] || !(draws_[i].shape() == shape))) ++i;
    if (i == draws_.size()) {
      draws_.push_back(draw_(shape));
      used.push_back(true);
    }
    used[i] = true;
    return draws_[i];
  }

  const std::function<Tensor<float>(const Shape&)>& draw_;
  Index height_, width_;
  std::vector<Tensor<float>> draws_{};
};

class TiledAutoencoder final : public Autoencoder {
 public:
  TiledAutoencoder(std::shared_ptr<const Autoencoder> autoencoder, VaeTiling::Blend blend, Index tile)
      : autoencoder_(std::move(autoencoder)), blend_(blend), tile_(tile) {}

  const LatentFormat& info() const noexcept override { return autoencoder_->info(); }
  Lease lease() const override { return autoencoder_->lease(); }

  Distribution encode(const ops::Context& context, const Tensor<float>& pictures) const override {
    const Index ratio = info().space_ratio;
    if (fits(pictures.dim(-3) / ratio, pictures.dim(-2) / ratio))
      return autoencoder_->encode(context, pictures);
    bool draws = false;
    const auto lease = autoencoder_->lease();
    const auto encoded = [&](const ops::Context& own, const Tensor<float>& x) {
      const auto distribution = autoencoder_->encode(own, x);
      draws = !distribution.std.empty();
      return moments_of(own, distribution);
    };
    const auto moments =
        pictures.rank() == 5
            ? film_by_film(pictures,
                           [&](const Tensor<float>& film) {
                             return joined_tiles(context, as_frames(film), ratio, 1,
                                                 [&](const auto& own, const auto& tile, const auto&) {
                                                   return as_frames(encoded(own, as_one_film(tile)));
                                                 });
                           })
            : picture_by_picture(context, pictures, ratio, 1, encoded);
    if (!draws) return {moments, {}};
    const auto parts = ops::chunk(context, moments, 2, -1);
    auto deviation = parts[1].clone();
    for (float& value : deviation.span()) value = std::exp(0.5f * value);
    return {parts[0], deviation};
  }

  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    if (fits(latents.dim(-3), latents.dim(-2))) return autoencoder_->decode(context, latents);
    if (latents.rank() == 5)
      return film_by_film(latents, [&](const Tensor<float>& film) { return frames(context, film, {}); });
    const auto lease = autoencoder_->lease();
    return picture_by_picture(
        context, latents, 1, info().space_ratio,
        [&](const auto& own, const auto& tile) { return autoencoder_->decode(own, tile); });
  }

  /// Tile by tile, each of which is a film by itself, whose frames go together in time as the autoencoder has
  /// it: all frames come at the end, at once.
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const FilmDecoding& decoding,
                   const FrameSink& sink) const override {
    if (fits(latents.dim(2), latents.dim(3)))
      return autoencoder_->decode_film(context, latents, decoding, sink);
    sink(as_one_film(frames(context, latents, decoding)));
  }

 private:
  template <class Change>
  static Tensor<float> film_by_film(const Tensor<float>& films, const Change& change) {
    std::vector<Tensor<float>> changed;
    for (Index n = 0; n < films.dim(0); ++n) changed.push_back(as_one_film(change(films.slice(n, n + 1))));
    return changed.size() == 1 ? changed.front() : concat_leading<float>(changed);
  }

  /// All frames `[F, H, W, C]` of one film.
  Tensor<float> frames(const ops::Context& context, const Tensor<float>& latents,
                       const FilmDecoding& decoding) const {
    const auto lease = autoencoder_->lease();
    NoiseInTiles noise(decoding.noise, latents.dim(2), latents.dim(3));
    return joined_tiles(context, as_frames(latents), 1, info().space_ratio,
                        [&](const auto& own, const auto& tile, const auto& place) {
                          auto told = decoding;
                          told.noise = noise.of(context, tile, place);
                          std::vector<Tensor<float>> made;
                          autoencoder_->decode_film(
                              own, as_one_film(tile), told,
                              [&](const Tensor<float>& some) { made.push_back(as_frames(some)); });
                          if (made.empty())
                            throw ArgumentError(pipeline_name, "the autoencoder gave no frame");
                          return made.size() == 1 ? made.front() : concat_leading<float>(made);
                        });
  }

  /// Each of the pictures `[N, H, W, C]` by itself: each has its own statistics.
  template <class Change>
  Tensor<float> picture_by_picture(const ops::Context& context, const Tensor<float>& x, Index in, Index out,
                                   const Change& change) const {
    const auto on_tile = [&](const auto& own, const auto& tile, const auto&) { return change(own, tile); };
    if (x.dim(0) == 1) return joined_tiles(context, x, in, out, on_tile);
    std::vector<Tensor<float>> joined;
    for (Index n = 0; n < x.dim(0); ++n)
      joined.push_back(joined_tiles(context, x.slice(n, n + 1), in, out, on_tile));
    return concat_leading<float>(joined);
  }

  bool fits(Index height, Index width) const { return height <= tile_ && width <= tile_; }

  /// `in` and `out` are what a latent is in pixels of what tiles are made from and of what they become. What
  /// is in one tensor is seen at once: one picture, or the frames of a film.
  Tensor<float> joined_tiles(const ops::Context& context, const Tensor<float>& x, Index in, Index out,
                             const OnTile& on_tile) const {
    if (blend_ == VaeTiling::Blend::reference) {
      constexpr double overlap = 0.25;  // diffusers' tile_overlap_factor
      return models::in_placed_tiles(context, x, tile_ * in, tile_ * out, overlap,
                                     [&](const Tensor<float>& tile, Index row, Index column) {
                                       return on_tile(context, tile, {row, column});
                                     });
    }
    auto own = context;
    const Index height = x.dim(1) / in, width = x.dim(2) / in;
    if (!info().films) {  // what goes through a film's network together depends on the size of its frames
      own.norm_statistics = std::make_shared<ops::NormStatistics>();
      own.norm_statistics->keep();
      on_tile(own, thinned(x, tile_ * in, in), {});
    }
    // What a tile sees ends at its border, as if there were nothing beyond; so what lies there is not taken.
    const Index overlap = std::max<Index>(1, tile_ / 4);
    const TileAxis::Border border{.overlap = overlap, .margin = overlap / 4, .smooth = true};
    const auto down = TileAxis::of(height, tile_, overlap), across = TileAxis::of(width, tile_, overlap);
    const auto rows = down.weights(height, border, out), columns = across.weights(width, border, out);
    Tensor<float> sum;
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < columns.size(); ++j) {
        context.check_stop();
        if (own.norm_statistics) own.norm_statistics->use();
        const std::array<Index, 4> begin{0, down.begins[i] * in, across.begins[j] * in, 0};
        const auto made =
            on_tile(own, ops::crop(context, x, begin, {x.dim(0), down.size * in, across.size * in, x.dim(3)}),
                    {begin[1], begin[2]});
        if (sum.empty()) sum = Tensor<float>::zeros({made.dim(0), height * out, width * out, made.dim(3)});
        add_weighted(sum, made, down.begins[i] * out, across.begins[j] * out, rows[i], columns[j]);
      }
    return sum;
  }

  std::shared_ptr<const Autoencoder> autoencoder_;
  VaeTiling::Blend blend_;
  Index tile_;
};

}  // namespace

std::shared_ptr<const Autoencoder> tiled(std::shared_ptr<const Autoencoder> autoencoder,
                                         VaeTiling::Blend blend, Index tile) {
  return std::make_shared<const TiledAutoencoder>(std::move(autoencoder), blend, tile);
}

}  // namespace daguerre
