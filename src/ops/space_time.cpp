#include <cmath>
#include <vector>

#include "daguerre/ops/space_time-inl.hpp"

namespace daguerre::ops {
namespace {

/// What of a place's channels belongs to each place of its block: where the first number lies, and how far
/// the next ones are apart.
struct DepthStride {
  Index first = 0;
  Index step = 1;
};

DepthStride depth_stride(const SpaceTimeBlock& block, DepthOrder order, Index channels, Index frame,
                         Index row, Index column) {
  switch (order) {
    case DepthOrder::channels_frames_rows_columns:
      return {(frame * block.rows + row) * block.columns + column, block.size()};
    case DepthOrder::channels_frames_columns_rows:
      return {(frame * block.columns + column) * block.rows + row, block.size()};
    case DepthOrder::frames_rows_columns_channels:
      break;
  }
  return {((frame * block.rows + row) * block.columns + column) * channels, 1};
}

/// Calls `move(place, channels_of, stride)` for every place of `film[N, F, H, W, C]`: where it begins there,
/// where the coarser one begins among so many channels `depth`, and where in the block it is.
template <class Move>
void for_places(const Context& context, const Shape& film, const SpaceTimeBlock& block, Index depth,
                const Move& move) {
  const Index frames = film[1], height = film[2], width = film[3], channels = film[4];
  parallel_for(context.threads, film[0] * frames * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const Index row = line % height, frame = line / height % frames, n = line / height / frames;
      const Index coarse =
          ((n * (frames / block.frames) + frame / block.frames) * (height / block.rows) + row / block.rows) *
          (width / block.columns);
      for (Index column = 0; column < width; ++column)
        move((line * width + column) * channels, (coarse + column / block.columns) * depth,
             frame % block.frames, row % block.rows, column % block.columns);
    }
  });
}

bool is_block(const SpaceTimeBlock& block) {
  return block.frames >= 1 && block.rows >= 1 && block.columns >= 1;
}

std::string text_of(const SpaceTimeBlock& block) {
  return std::to_string(block.frames) + " x " + std::to_string(block.rows) + " x " +
         std::to_string(block.columns);
}

Shape enlarged(const Shape& shape, const SpaceTimeBlock& block, Index channels) {
  return {shape[0], checked_multiply(shape[1], block.frames), checked_multiply(shape[2], block.rows),
          checked_multiply(shape[3], block.columns), channels};
}

}  // namespace

Tensor<float> depth_to_space_time(const Context& context, const Tensor<float>& x, const SpaceTimeBlock& block,
                                  DepthOrder order) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (x.rank() != 5 || !is_block(block) || x.dim(4) % block.size() != 0)
    throw ArgumentError("depth_to_space_time",
                        "channels of " + to_string(x.shape()) + " do not fill blocks of " + text_of(block));
  if (block.size() == 1) return x;
  return with_operations(context, [&](const Operations& engine) {
    return engine.depth_to_space_time(context, x, block, order);
  });
}

Tensor<float> Operations::depth_to_space_time(const Context& context, const Tensor<float>& x,
                                              const SpaceTimeBlock& block, DepthOrder order) const {
  const Index channels = x.dim(4) / block.size();
  auto y = context.empty<float>(enlarged(x.shape(), block, channels));
  float* const out = y.data();
  for_places(context, y.shape(), block, x.dim(4),
             [&](Index place, Index depth, Index frame, Index row, Index column) {
               const auto stride = depth_stride(block, order, channels, frame, row, column);
               const float* from = x.data() + depth + stride.first;
               for (Index c = 0; c < channels; ++c) out[place + c] = from[c * stride.step];
             });
  return y;
}

Tensor<float> space_time_to_depth(const Context& context, const Tensor<float>& x, const SpaceTimeBlock& block,
                                  DepthOrder order) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (x.rank() != 5 || !is_block(block) || x.dim(1) % block.frames != 0 || x.dim(2) % block.rows != 0 ||
      x.dim(3) % block.columns != 0)
    throw ArgumentError(
        "space_time_to_depth",
        to_string(x.shape()) + ", expected [N, F, H, W, C] that blocks of " + text_of(block) + " divide");
  if (block.size() == 1) return x;
  return with_operations(context, [&](const Operations& engine) {
    return engine.space_time_to_depth(context, x, block, order);
  });
}

Tensor<float> Operations::space_time_to_depth(const Context& context, const Tensor<float>& x,
                                              const SpaceTimeBlock& block, DepthOrder order) const {
  const Index channels = x.dim(4), depth = checked_multiply(channels, block.size());
  auto y = context.empty<float>(
      {x.dim(0), x.dim(1) / block.frames, x.dim(2) / block.rows, x.dim(3) / block.columns, depth});
  float* const out = y.data();
  for_places(context, x.shape(), block, depth,
             [&](Index place, Index to, Index frame, Index row, Index column) {
               const auto stride = depth_stride(block, order, channels, frame, row, column);
               for (Index c = 0; c < channels; ++c)
                 out[to + stride.first + c * stride.step] = x.data()[place + c];
             });
  return y;
}

Tensor<float> add_plane(const Context& context, Tensor<float> x, const Tensor<float>& plane,
                        const Tensor<float>& scale) {
  const Profile::Scope scope(context, OpKind::add);
  if (x.rank() != 5 || !(plane.shape() == Shape{x.dim(2), x.dim(3)}) || !(scale.shape() == Shape{x.dim(4)}))
    throw ArgumentError("add_plane", "a plane " + to_string(plane.shape()) + " with scales " +
                                         to_string(scale.shape()) + " on " + to_string(x.shape()));
  return with_operations(context, [&](const Operations& engine) {
    return engine.add_plane(context, std::move(x), plane, scale);
  });
}

Tensor<float> Operations::add_plane(const Context& context, Tensor<float> x, const Tensor<float>& plane,
                                    const Tensor<float>& scale) const {
  auto y = std::move(x);
  float* const out = y.data();
  const float *const noise = plane.data(), *const factor = scale.data();
  const Index channels = y.dim(4), area = y.dim(2) * y.dim(3);
  parallel_for(context.threads, y.dim(0) * y.dim(1) * area,
               std::max<Index>(1, 4096 / std::max<Index>(channels, 1)), [&](Index begin, Index end) {
                 for (Index place = begin; place < end; ++place)
                   for (Index c = 0; c < channels; ++c)
                     out[place * channels + c] += noise[place % area] * factor[c];
               });
  return y;
}

Tensor<float> duplicate_to_space_time(const Context& context, const Tensor<float>& x,
                                      const SpaceTimeBlock& block, Index channels) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (x.rank() != 5 || !is_block(block) || channels < 1 || x.dim(4) < 1 ||
      checked_multiply(channels, block.size()) % x.dim(4) != 0)
    throw ArgumentError("duplicate_to_space_time", "channels of " + to_string(x.shape()) + " for " +
                                                       std::to_string(channels) + " in blocks of " +
                                                       text_of(block));
  return with_operations(context, [&](const Operations& engine) {
    return engine.duplicate_to_space_time(context, x, block, channels);
  });
}

Tensor<float> Operations::duplicate_to_space_time(const Context& context, const Tensor<float>& x,
                                                  const SpaceTimeBlock& block, Index channels) const {
  const Index repeats = channels * block.size() / x.dim(4);
  auto y = context.empty<float>(enlarged(x.shape(), block, channels));
  float* const out = y.data();
  for_places(context, y.shape(), block, x.dim(4),
             [&](Index place, Index from, Index frame, Index row, Index column) {
               Index at = (frame * block.rows + row) * block.columns + column;
               for (Index c = 0; c < channels; ++c, at += block.size())
                 out[place + c] = x.data()[from + at / repeats];
             });
  return y;
}

Tensor<float> fourier_features(const Context& context, const Tensor<float>& x,
                               std::span<const float> frequencies) {
  const Profile::Scope scope(context, OpKind::embedding);
  if (x.rank() == 0) throw ArgumentError("fourier_features", "a scalar has no channels");
  return with_operations(
      context, [&](const Operations& engine) { return engine.fourier_features(context, x, frequencies); });
}

Tensor<float> Operations::fourier_features(const Context& context, const Tensor<float>& x,
                                           std::span<const float> frequencies) const {
  const Index channels = x.dim(-1), count = static_cast<Index>(frequencies.size());
  const Index width = checked_multiply(channels, 1 + 2 * count);
  auto y = context.empty<float>(x.shape().with(x.rank() - 1, width));
  float* const out = y.data();
  parallel_for(context.threads, channels == 0 ? 0 : x.size() / channels, 256, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const float* from = x.data() + row * channels;
      float* sines = std::copy_n(from, channels, out + row * width);
      float* cosines = sines + channels * count;
      for (Index c = 0; c < channels; ++c)
        for (const float frequency : frequencies) {
          const float angle = frequency * from[c];
          *sines++ = std::sin(angle);
          *cosines++ = std::cos(angle);
        }
    }
  });
  return y;
}

template Tensor<float> repeat_edges(const Context&, const Tensor<float>&, Index, Index);
template Tensor<bfloat16> repeat_edges(const Context&, const Tensor<bfloat16>&, Index, Index);

}  // namespace daguerre::ops
