#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "daguerre/nn/loader.hpp"

namespace daguerre::nn {

/// A film's frames, `[1, H, W, C]` each: those that are no longer needed can be let go one by one.
template <class T>
using FrameList = std::vector<Tensor<T>>;
/// The frame of that number, when it is needed; each is asked for once, in order.
template <class T>
using FrameSource = std::function<Tensor<T>(Index)>;

/// What a network's layers keep of the frames they have seen, so that a film can go through it chunk by
/// chunk and come out as if it had gone at once. One for each run. The layers of a network come to their
/// frames in the order in which they are called, which must be the same for every chunk.
template <class T>
class FrameStream {
 public:
  /// Before each chunk. Behind the last one, where that is known to be it, nothing is kept.
  void begin_chunk(bool is_last = false) noexcept {
    next_ = next_window_ = 0;
    is_last_ = is_last;
    ++chunks_;
  }
  /// Whether this is the first chunk.
  bool is_first() const noexcept { return chunks_ <= 1; }
  bool is_last() const noexcept { return is_last_; }
  /// What the next layer kept, `[f, H, W, C]`, for it to replace; nullopt: nothing yet.
  std::optional<Tensor<T>>& next() { return next_of(kept_, next_); }
  /// The frames that lie under the next convolution's kernel and are needed again; nullopt: none yet. An
  /// empty one stands for zeros before the film.
  std::optional<FrameList<T>>& next_window() { return next_of(windows_, next_window_); }

 private:
  template <class Kept>
  static Kept& next_of(std::deque<Kept>& kept, std::size_t& next) {
    if (next == kept.size()) kept.emplace_back();
    return kept[next++];
  }

  std::deque<std::optional<Tensor<T>>> kept_;
  std::deque<std::optional<FrameList<T>>> windows_;
  std::size_t next_ = 0, next_window_ = 0;
  int chunks_ = 0;
  bool is_last_ = false;
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
  /// With a `stream` the film, one, comes in chunks and goes `frame_by_frame`.
  /// Throws ArgumentError where the kernel does not fit, and for several films in a stream.
  Tensor<float> operator()(const ops::Context& context, Tensor<T> x, Tensor<float> residual = {},
                           FrameStream<T>* stream = nullptr) const;
  /// Of a chunk of one film, `count` frames `[1, H, W, in]`: no more of them than the kernel has are held at
  /// once. Before a film's first frame stands the border, before a later chunk what came before it; nothing
  /// is put behind. `residual`, where there is one, gives what is added to each frame of the result. Frames
  /// are kept as they are given: they should share their elements with nothing larger. Throws ArgumentError
  /// where the kernel does not fit, and for a geometry that `is_in_time`, or whose border or step is larger
  /// than the kernel.
  FrameList<float> frame_by_frame(const ops::Context& context, Index count, const FrameSource<T>& frame,
                                  const FrameSource<float>& residual, FrameStream<T>& stream) const;

 private:
  /// Of a kernel that is.
  Tensor<float> in_time(const ops::Context& context, const Tensor<T>& x, Tensor<float> residual) const;
  /// Of the frames `[F, H, W, in]` of one film; `before` stand before them.
  Tensor<float> of_film(const ops::Context& context, const Tensor<T>& x, Index before, Index behind,
                        Tensor<float> residual) const;
  /// Of the frames under the kernel; empty ones stand for zeros.
  Tensor<float> under_kernel(const ops::Context& context, const FrameList<T>& window,
                             Tensor<float> residual) const;
  /// A film in one piece, which the stream is given frame by frame.
  Tensor<float> of_chunk(const ops::Context& context, Tensor<T> x, Tensor<float> residual,
                         FrameStream<T>& stream) const;
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
