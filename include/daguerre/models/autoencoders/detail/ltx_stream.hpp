#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "daguerre/nn/conv3d.hpp"
#include "daguerre/ops/rearrange.hpp"

/// How a film goes through layers that look ahead, chunk by chunk, and comes out as if it had gone at once: a
/// layer gives the frames for which it has seen what is behind them, and the rest with the last chunk.
namespace daguerre::models {

/// What the layers of a decoder keep from chunk to chunk. One for each run.
template <class T>
class LTXStream {
 public:
  /// Before each chunk; `is_last`: none follows.
  void begin_chunk(bool is_last) {
    layers<T>().begin_chunk();
    if (!std::is_same_v<T, float>) layers<float>().begin_chunk();
    waiting_.begin_chunk();
    next_plane_ = 0;
    is_last_ = is_last;
  }
  bool is_last() const noexcept { return is_last_; }
  /// What convolutions that multiply `Element`s keep.
  template <class Element>
  nn::FrameStream<Element>& layers() {
    if constexpr (std::is_same_v<Element, T>)
      return layers_;
    else
      return float_layers_;
  }
  /// What waits for the results of layers beside it.
  nn::FrameStream<float>& waiting() noexcept { return waiting_; }
  /// The next plane of noise, which all chunks share; `draw` makes it.
  template <class Draw>
  const Tensor<float>& plane(const Draw& draw) {
    if (next_plane_ == planes_.size()) planes_.push_back(draw());
    return planes_[next_plane_++];
  }
  /// A layer that would add noise has no frame yet.
  void skip_plane() noexcept { ++next_plane_; }

 private:
  nn::FrameStream<T> layers_;
  nn::FrameStream<float> float_layers_, waiting_;
  std::vector<Tensor<float>> planes_;
  std::size_t next_plane_ = 0;
  bool is_last_ = false;
};

/// A film's frames `[1, f, H, W, C]`, none of them.
inline Tensor<float> no_frames(const ops::Context& context, Index height, Index width, Index channels) {
  return context.empty<float>({1, 0, height, width, channels});
}

/// Of frames that come earlier than others, the first `count`: those that wait and the new ones, of which the
/// rest waits.
inline Tensor<float> waited_for(const ops::Context& context, std::optional<Tensor<float>>& waiting,
                                const Tensor<float>& fresh, Index count) {
  const auto& shape = fresh.shape();
  auto all = fresh.reshape({shape[1], shape[2], shape[3], shape[4]});
  if (waiting && waiting->dim(0) > 0) {
    const std::vector<Tensor<float>> parts{*waiting, all};
    all = ops::concat<float>(context, parts, 0);
  }
  // A copy, of two parts and one of them empty: what waits must not keep the chunk.
  const std::vector<Tensor<float>> rest{all.slice(count, all.dim(0)), all.slice(0, 0)};
  waiting = ops::concat<float>(context, rest, 0);
  return all.slice(0, count).reshape(shape.with(1, count));
}

/// A 3-D convolution of one step whose films may come in chunks.
template <class Element>
class LTXConv {
 public:
  /// Reads what nn::Conv3d reads.
  LTXConv(const nn::Loader& loader, Index in, Index out, const nn::FilmGeometry& geometry)
      : out_(out), geometry_(geometry), conv_(loader, in, out, geometry) {}

  /// Of a film at once, as nn::Conv3d.
  Tensor<float> operator()(const ops::Context& context, const Tensor<Element>& x,
                           Tensor<float> residual = {}) const {
    return conv_(context, x, std::move(residual));
  }
  /// Of a chunk, which may have no frames; neither may the result.
  template <class T>
  Tensor<float> operator()(const ops::Context& context, const Tensor<Element>& x,
                           LTXStream<T>& stream) const {
    auto& frames = stream.template layers<Element>();
    auto& waiting = frames.next();  // empty once the convolution has begun
    const bool has_begun = waiting && waiting->dim(0) == 0;
    const auto& shape = x.shape();
    auto film = x.reshape({shape[1], shape[2], shape[3], shape[4]});
    std::vector<Tensor<Element>> parts;
    if (waiting && !has_begun) parts.push_back(*waiting);
    parts.push_back(film);
    if (stream.is_last() && film.dim(0) > 0)  // the border behind the film
      parts.insert(parts.end(), static_cast<std::size_t>(geometry_.behind),
                   film.slice(film.dim(0) - 1, film.dim(0)));
    if (parts.size() > 1) film = ops::concat<Element>(context, parts, 0);
    if (film.dim(0) < (has_begun ? 1 : geometry_.frames - geometry_.before)) {
      if (!has_begun && film.dim(0) > 0) waiting = film;
      (void)frames.next_window();  // the convolution's own
      return no_frames(context, shape[2], shape[3], out_);
    }
    waiting = context.empty<Element>(film.shape().with(0, 0));
    return conv_(context, film.reshape({1, film.dim(0), shape[2], shape[3], shape[4]}), {}, &frames);
  }

 private:
  Index out_;
  nn::FilmGeometry geometry_;
  nn::Conv3d<Element> conv_;
};

}  // namespace daguerre::models
