#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "daguerre/nn/adaptation-inl.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {

template <class T>
Conv3d<T>::Conv3d(const Loader& loader, Index in, Index out, const FilmGeometry& geometry, bool has_bias)
    : geometry_(geometry), window_(in * geometry.side * geometry.side) {
  const auto& context = loader.context;
  const Shape shape{out, in, geometry.frames, geometry.side, geometry.side};
  const auto pack = [&]() -> std::shared_ptr<const Taps> {
    auto weight = loader.to_be_packed("weight", shape);
    auto taps = std::make_shared<Taps>();
    if (geometry.is_in_time()) {
      weight.shape = Shape{out, in, geometry.frames, 1};
      taps->in_time = context.engine->as<T>().pack_conv2d(
          context, weight, has_bias ? loader.tensor("bias", {out}) : Tensor<float>(),
          {1, geometry.before, 0, geometry.behind, 0});
      return taps;
    }
    for (Index i = 0; i < geometry.frames; ++i) {
      const bool biased = has_bias && i == geometry.own_frame();
      taps->frames.push_back(context.engine->as<T>().pack_conv2d(
          context, ops::slice_source(weight, 2, i), biased ? loader.tensor("bias", {out}) : Tensor<float>(),
          geometry.space));
    }
    return taps;
  };
  const auto& space = geometry.space;
  std::string key = "conv3d";
  for (const int number : {space.stride, space.pad_top, space.pad_left, space.pad_bottom, space.pad_right})
    key += " " + std::to_string(number);
  const std::array modules{loader};
  // A change is packed anew: nothing of low rank stands behind a sum of convolutions.
  taps_ = detail::adapted_layer<Taps>({modules, {&shape, 1}, has_bias}, key, true, pack,
                                      [&](const auto& base, const auto&) { return base; });
}

template <class T>
Tensor<T> Conv3d<T>::gathered(const ops::Context& context, const Tensor<T>& x, Index begin,
                              Index count) const {
  const Index last = x.dim(0) - 1, end = begin + (count - 1) * geometry_.stride;
  if (geometry_.stride == 1 && begin >= 0 && end <= last) return x.slice(begin, begin + count);
  std::vector<Tensor<T>> frames;
  for (Index i = 0; i < count; ++i) {
    const Index frame = std::clamp<Index>(begin + i * geometry_.stride, 0, last);
    frames.push_back(x.slice(frame, frame + 1));
  }
  return frames.size() == 1 ? frames.front() : ops::concat<T>(context, frames, 0);
}

template <class T>
Tensor<float> Conv3d<T>::of_film(const ops::Context& context, const Tensor<T>& x, Index before, Index behind,
                                 Tensor<float> residual) const {
  const Index frames = x.dim(0), whole = before + frames + behind, stride = geometry_.stride;
  if (frames == 0 || whole < geometry_.frames)
    throw ArgumentError("conv3d", std::to_string(frames) + " frames of " + to_string(x.shape()) +
                                      " are too few for a kernel of " + std::to_string(geometry_.frames));
  const Index count = (whole - geometry_.frames) / stride + 1;
  // The kernel's frames that lie over frames of the film, for each frame of the result.
  const auto taps_over_film = [&](Index frame) {
    if (geometry_.border == FrameBorder::repeated) return std::pair<Index, Index>{0, geometry_.frames};
    const Index first = frame * stride - before;
    return std::pair<Index, Index>{std::max<Index>(0, -first),
                                   std::min<Index>(geometry_.frames, frames - first)};
  };
  std::vector<Tensor<float>> runs;
  for (Index begin = 0; begin < count;) {
    const auto taps = taps_over_film(begin);
    Index end = begin + 1;
    while (end < count && taps_over_film(end) == taps) ++end;
    const bool is_all = begin == 0 && end == count;
    auto sum = residual.empty() ? Tensor<float>() : is_all ? std::move(residual) : residual.slice(begin, end);
    // The frame with the bias comes in any case; over zeros the others add nothing.
    for (Index tap = 0; tap < geometry_.frames; ++tap) {
      const bool over_film = tap >= taps.first && tap < taps.second;
      if (!over_film && tap != geometry_.own_frame()) continue;
      const auto& conv = *taps_->frames[static_cast<std::size_t>(tap)];
      if (over_film)
        sum = conv(context, gathered(context, x, begin * stride - before + tap, end - begin), std::move(sum));
      else
        sum = conv(context, ops::cast<T>(context, ops::full(context, x.shape().with(0, end - begin), 0.0f)),
                   std::move(sum));
    }
    runs.push_back(std::move(sum));
    begin = end;
  }
  return runs.size() == 1 ? std::move(runs.front()) : ops::concat<float>(context, runs, 0);
}

template <class T>
Tensor<float> Conv3d<T>::in_time(const ops::Context& context, const Tensor<T>& x,
                                 Tensor<float> residual) const {
  const Index pixels = checked_multiply(x.dim(2), x.dim(3));
  const Index frames = x.dim(1) + geometry_.before + geometry_.behind - geometry_.frames + 1;
  if (x.dim(1) == 0 || frames < 1)
    throw ArgumentError("conv3d", std::to_string(x.dim(1)) + " frames of " + to_string(x.shape()) +
                                      " are too few for a kernel of " + std::to_string(geometry_.frames));
  auto added = residual.empty() ? Tensor<float>() : residual.reshape({x.dim(0), frames, pixels, -1});
  residual = {};  // so that it may become the result
  const auto y =
      (*taps_->in_time)(context, x.reshape({x.dim(0), x.dim(1), pixels, x.dim(4)}), std::move(added));
  return y.reshape({x.dim(0), frames, x.dim(2), x.dim(3), y.dim(3)});
}

template <class T>
Tensor<float> Conv3d<T>::under_kernel(const ops::Context& context, const FrameList<T>& window,
                                      Tensor<float> residual) const {
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  for (std::size_t tap = 0; tap < window.size(); ++tap)
    if (!window[tap].empty()) residual = (*taps_->frames[tap])(context, window[tap], std::move(residual));
  scope.add_flops(2 * residual.size() * window_ * geometry_.frames);
  return residual;
}

template <class T>
FrameList<float> Conv3d<T>::frame_by_frame(const ops::Context& context, Index count,
                                           const FrameSource<T>& frame, const FrameSource<float>& residual,
                                           FrameStream<T>& stream) const {
  if (taps_->in_time != nullptr)
    throw ArgumentError("conv3d", "a kernel in time alone that looks ahead takes no stream");
  if (geometry_.before >= geometry_.frames || geometry_.stride > geometry_.frames)
    throw ArgumentError("conv3d", "a kernel of " + std::to_string(geometry_.frames) + " frames behind " +
                                      std::to_string(geometry_.before) + " others, with steps of " +
                                      std::to_string(geometry_.stride) + ", takes no stream");
  const auto whole = static_cast<std::size_t>(geometry_.frames);
  auto& kept = stream.next_window();
  FrameList<T> window;
  bool has_begun = kept.has_value();
  if (has_begun) window = std::move(*kept);
  kept.emplace();
  FrameList<float> results;
  for (Index i = 0; i < count; ++i) {
    context.check_stop();
    auto next = frame(i);
    if (!std::exchange(has_begun, true))
      window.assign(static_cast<std::size_t>(geometry_.before),
                    geometry_.border == FrameBorder::repeated ? next : Tensor<T>());
    window.push_back(std::move(next));
    if (window.size() < whole) continue;
    results.push_back(under_kernel(
        context, window, residual ? residual(static_cast<Index>(results.size())) : Tensor<float>()));
    window.erase(window.begin(), window.begin() + geometry_.stride);
  }
  if (results.empty())
    throw ArgumentError("conv3d", std::to_string(count) + " frames are too few for a kernel of " +
                                      std::to_string(geometry_.frames));
  if (!stream.is_last()) kept = std::move(window);
  return results;
}

template <class T>
Tensor<float> Conv3d<T>::of_chunk(const ops::Context& context, Tensor<T> x, Tensor<float> residual,
                                  FrameStream<T>& stream) const {
  if (x.dim(0) != 1)
    throw ArgumentError("conv3d", std::to_string(x.dim(0)) + " films in one stream, expected 1");
  const Index count = x.dim(1);
  auto frames = x.reshape({count, x.dim(2), x.dim(3), x.dim(4)});
  x = {};
  const auto frame = [&](Index i) {
    auto own = count == 1 ? std::move(frames) : frames.slice(i, i + 1);
    // A copy, of two parts and one of them empty: what is kept must not keep the chunk.
    if (count > 1 && i + geometry_.frames > count && !stream.is_last())
      own = ops::concat<T>(context, std::array{own, own.slice(0, 0)}, 0);
    if (i + 1 == count) frames = {};
    return own;
  };
  const auto added = [&](Index i) {
    auto part = residual[0].slice(i, i + 1);
    if (i + 1 == residual.dim(1)) residual = {};  // so that one that is all of it may become the result
    return part;
  };
  const FrameSource<float> residuals = residual.empty() ? FrameSource<float>() : FrameSource<float>(added);
  auto results = frame_by_frame(context, count, frame, residuals, stream);
  if (!residual.empty())  // it is let go of with its last frame
    throw ArgumentError("conv3d", "a residual " + to_string(residual.shape()) + " for " +
                                      std::to_string(results.size()) + " frames");
  auto y = results.size() == 1 ? std::move(results.front()) : ops::concat<float>(context, results, 0);
  return y.reshape({1, y.dim(0), y.dim(1), y.dim(2), y.dim(3)});
}

template <class T>
Tensor<float> Conv3d<T>::operator()(const ops::Context& context, Tensor<T> x, Tensor<float> residual,
                                    FrameStream<T>* stream) const {
  if (x.rank() != 5) throw ArgumentError("conv3d", to_string(x.shape()) + ", expected [N, F, H, W, C]");
  if (stream != nullptr) return of_chunk(context, std::move(x), std::move(residual), *stream);
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  if (taps_->in_time != nullptr) {
    const auto y = in_time(context, x, std::move(residual));
    scope.add_flops(2 * y.size() * window_ * geometry_.frames);
    return y;
  }
  const Shape frames{x.dim(1), x.dim(2), x.dim(3), x.dim(4)};
  std::vector<Tensor<float>> films;
  for (Index n = 0; n < x.dim(0); ++n) {
    Tensor<float> added;
    if (!residual.empty()) {
      auto part = x.dim(0) == 1 ? std::move(residual) : residual.slice(n, n + 1);
      const auto& shape = part.shape();
      added = part.reshape({shape[1], shape[2], shape[3], shape[4]});
      if (x.dim(0) == 1) residual = {};  // so that it may become the result
    }
    auto y = of_film(context, x.slice(n, n + 1).reshape(frames), geometry_.before, geometry_.behind,
                     std::move(added));
    films.push_back(y.reshape({1, y.dim(0), y.dim(1), y.dim(2), y.dim(3)}));
  }
  auto y = films.size() == 1 ? std::move(films.front()) : ops::concat<float>(context, films, 0);
  scope.add_flops(2 * y.size() * window_ * geometry_.frames);
  return y;
}

extern template class Conv3d<float>;
extern template class Conv3d<bfloat16>;

}  // namespace daguerre::nn
