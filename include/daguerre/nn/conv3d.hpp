#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "daguerre/nn/loader.hpp"

namespace daguerre::nn {

/// What a network's layers keep of the frames they have seen, so that a film can go through it chunk by
/// chunk and come out as if it had gone at once. One for each run. The layers of a network come to their
/// frames in the order in which they are called, which must be the same for every chunk.
template <class T>
class FrameStream {
 public:
  /// Before each chunk.
  void begin_chunk() noexcept {
    next_ = 0;
    ++chunks_;
  }
  /// Whether this is the first chunk.
  bool is_first() const noexcept { return chunks_ <= 1; }
  /// What the next layer kept, `[f, H, W, C]`, for it to replace; nullopt: nothing yet.
  std::optional<Tensor<T>>& next() {
    if (next_ == kept_.size()) kept_.emplace_back();
    return kept_[next_++];
  }

 private:
  std::deque<std::optional<Tensor<T>>> kept_;
  std::size_t next_ = 0;
  int chunks_ = 0;
};

/// What stands before a film's first frame and behind its last one.
enum class FrameBorder {
  zeros,
  repeated,  ///< the frame at the border
};

/// Where a 3-D convolution's window moves.
struct FilmGeometry {
  Index frames = 3;  ///< of the kernel
  Index side = 3;    ///< of the kernel, in rows and columns
  int stride = 1;    ///< in time
  int before = 0;    ///< frames put before the film
  int behind = 0;    ///< and behind it
  FrameBorder border = FrameBorder::zeros;
  ops::ConvGeometry space{};

  /// The kernel's frame that lies over the first frame of a film, and so always over one of its frames.
  Index own_frame() const noexcept { return std::min<Index>(before, frames - 1); }
  /// A kernel that looks at this frame and those before it (`frames - 1` stand before the film), `pad` zeros
  /// on every side of each frame.
  static FilmGeometry causal(Index frames, Index side, int pad, FrameBorder border = FrameBorder::zeros) {
    return {frames, side, 1, static_cast<int>(frames) - 1, 0, border, ops::ConvGeometry::same(pad)};
  }
  /// Whether it moves in time alone, zeros around the film, and looks ahead: the frames are then the rows of
  /// one 2-D convolution.
  bool is_in_time() const noexcept {
    return side == 1 && stride == 1 && behind > 0 && border == FrameBorder::zeros && space.stride == 1 &&
           space.pad_top == 0 && space.pad_left == 0 && space.pad_bottom == 0 && space.pad_right == 0;
  }
  /// A kernel around this frame.
  static FilmGeometry centred(Index frames, Index side, FrameBorder border = FrameBorder::zeros) {
    const int half = static_cast<int>(frames / 2);
    return {frames, side, 1, half, half, border, ops::ConvGeometry::same(static_cast<int>(side / 2))};
  }
};

/// A 3-D convolution, `[N, F, H, W, in]` to `[N, F', H', W', out]` (torch.nn.Conv3d): a sum of 2-D
/// convolutions, one for each frame of the kernel, of which those over zeros are left out, or one whose rows
/// are the frames. Neither frames nor rows and columns wrap around, whatever the context says.
template <class T>
class Conv3d {
 public:
  /// Reads `weight[out, in, frames, side, side]` and, unless there is none, `bias[out]`. Throws WeightError.
  Conv3d(const Loader& loader, Index in, Index out, const FilmGeometry& geometry, bool has_bias = true);

  /// `residual`, of the result's shape or empty, is added last; one that is given away becomes the result.
  /// A film `x` that is given away is let go once it has been joined with what came before it.
  /// With a `stream` the film, one, comes in chunks: what stands before a later chunk is what came before it.
  /// Throws ArgumentError where the kernel does not fit, for several films in a stream, and for a stream
  /// where the geometry `is_in_time`.
  Tensor<float> operator()(const ops::Context& context, Tensor<T> x, Tensor<float> residual = {},
                           FrameStream<T>* stream = nullptr) const;

 private:
  /// Of a kernel that is.
  Tensor<float> in_time(const ops::Context& context, const Tensor<T>& x, Tensor<float> residual) const;
  /// Of the frames `[F, H, W, in]` of one film; `before` stand before them.
  Tensor<float> of_film(const ops::Context& context, const Tensor<T>& x, Index before, Index behind,
                        Tensor<float> residual) const;
  /// The frames [begin, begin + count * stride) by steps of the stride, each moved into the film.
  Tensor<T> gathered(const ops::Context& context, const Tensor<T>& x, Index begin, Index count) const;

  struct Taps {
    std::vector<std::unique_ptr<const ops::PackedConv2d<T>>> frames;
    std::unique_ptr<const ops::PackedConv2d<T>> in_time;  ///< instead, of a kernel that is
  };
  std::shared_ptr<const Taps> taps_;
  FilmGeometry geometry_;
  Index window_;  // numbers behind one of the result, for one frame of the kernel
};

}  // namespace daguerre::nn
