#include <array>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/tile_axis.hpp"
#include "pipeline/tiled_parts.hpp"

namespace daguerre {
namespace {

/// A film's frames `[N, F, h, w, C]` as pictures `[N F, h, w, C]`; pictures as they are.
Tensor<float> as_pictures(const Tensor<float>& x) {
  if (x.rank() != 5) return x;
  return x.reshape({x.dim(0) * x.dim(1), x.dim(2), x.dim(3), x.dim(4)});
}
/// Such pictures as the frames of films of `like`'s number, where that is a film.
Tensor<float> as_films(const Tensor<float>& x, const Tensor<float>& like) {
  if (like.rank() != 5) return x;
  return x.reshape({like.dim(0), like.dim(1), x.dim(1), x.dim(2), x.dim(3)});
}

/// The tile at that place of what lies over latents of `height` x `width`, at their size or a multiple of it,
/// of films in all frames; anything else as it is.
Tensor<float> part_over(const ops::Context& context, const Tensor<float>& x, Index height, Index width,
                        const std::array<Index, 4>& tile) {
  if (x.rank() == 5) return as_films(part_over(context, as_pictures(x), height, width, tile), x);
  if (x.rank() != 4 || x.dim(1) % height != 0 || x.dim(2) % width != 0) return x;
  const Index ratio = x.dim(1) / height;
  if (x.dim(2) / width != ratio) return x;
  const auto [top, left, rows, columns] = tile;
  const std::array<Index, 4> begin{0, top * ratio, left * ratio, 0};
  return ops::crop(context, x, begin, {x.dim(0), rows * ratio, columns * ratio, x.dim(3)});
}

class TiledDenoiser final : public Denoiser {
 public:
  TiledDenoiser(std::shared_ptr<const Denoiser> denoiser, Extent tile, Index overlap)
      : denoiser_(std::move(denoiser)), info_(denoiser_->info()), tile_(tile), overlap_(overlap) {
    info_.largest_side = 0;  // no tile is larger
  }

  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const Index height = x.dim(-3), width = x.dim(-2);
    if (height <= tile_[0] && width <= tile_[1]) return (*denoiser_)(context, x, timestep, conditioning);
    const auto down = TileAxis::of(height, tile_[0], overlap_, info_.side_multiple);
    const auto across = TileAxis::of(width, tile_[1], overlap_, info_.side_multiple);
    const TileAxis::Border border{.overlap = overlap_};
    const auto rows = down.weights(height, border), columns = across.weights(width, border);
    Tensor<float> sum;
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < columns.size(); ++j) {
        context.check_stop();
        const std::array<Index, 4> place{down.begins[i], across.begins[j], down.size, across.size};
        const auto cut = [&](const Tensor<float>& whole) {
          return part_over(context, whole, height, width, place);
        };
        auto own = conditioning;
        if (!own.concat.empty()) own.concat = cut(own.concat);
        for (auto& [name, extra] : own.extras) extra = cut(extra);
        const auto made = (*denoiser_)(context, cut(x), timestep, own);
        const auto pictures = as_pictures(made);
        if (sum.empty()) sum = Tensor<float>::zeros({pictures.dim(0), height, width, pictures.dim(3)});
        add_weighted(sum, pictures, place[0], place[1], rows[i], columns[j]);
      }
    return as_films(sum, x);
  }

 private:
  std::shared_ptr<const Denoiser> denoiser_;
  DenoiserInfo info_;
  Extent tile_;
  Index overlap_;
};

}  // namespace

std::shared_ptr<const Denoiser> tiled(std::shared_ptr<const Denoiser> denoiser, Extent tile, Index overlap) {
  return std::make_shared<const TiledDenoiser>(std::move(denoiser), tile, overlap);
}

}  // namespace daguerre
