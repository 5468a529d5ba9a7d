#include "daguerre/ops/fir.hpp"

#include <algorithm>
#include <vector>

#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace {

/// A pixel that a new one is summed from.
struct Tap {
  Index from = 0;
  float weight = 0.0f;
};
using Taps = std::vector<Tap>;

/// Adds pixel `from` of a line of `size`, or what lies there outside of it.
void add_tap(Taps& taps, Index from, Index size, float weight, Border border) {
  if (from < 0 || from >= size) {
    if (border == Border::zeros) return;
    from = from < 0 ? -from : 2 * (size - 1) - from;
  }
  taps.push_back({from, weight});
}

std::vector<Taps> halving(Index size, Border border) {
  constexpr float kernel[] = {0.125f, 0.375f, 0.375f, 0.125f};
  std::vector<Taps> points(static_cast<std::size_t>(size / 2));
  for (Index i = 0; i < size / 2; ++i)
    for (Index t = 0; t < 4; ++t)
      add_tap(points[static_cast<std::size_t>(i)], 2 * i + t - 1, size, kernel[t], border);
  return points;
}

std::vector<Taps> doubling(Index size, Border border) {
  std::vector<Taps> points(static_cast<std::size_t>(2 * size));
  for (Index i = 0; i < 2 * size; ++i) {
    auto& taps = points[static_cast<std::size_t>(i)];
    add_tap(taps, i / 2, size, 0.75f, border);
    add_tap(taps, i % 2 == 0 ? i / 2 - 1 : i / 2 + 1, size, 0.25f, border);
  }
  return points;
}

Tensor<float> resampled(const Context& context, const Tensor<float>& x, const std::vector<Taps>& down,
                        const std::vector<Taps>& across) {
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  const auto height = static_cast<Index>(down.size()), width = static_cast<Index>(across.size());
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const float* picture = x.data() + line / height * rows * columns * channels;
      float* out = y.data() + line * width * channels;
      for (const Taps& horizontal : across) {
        std::fill_n(out, channels, 0.0f);
        for (const Tap& v : down[static_cast<std::size_t>(line % height)])
          for (const Tap& u : horizontal) {
            const float* from = picture + (v.from * columns + u.from) * channels;
            const float weight = v.weight * u.weight;
            for (Index c = 0; c < channels; ++c) out[c] += weight * from[c];
          }
        out += channels;
      }
    }
  });
  return y;
}

void check(const char* who, const Tensor<float>& x, Index least) {
  if (x.rank() != 4 || x.dim(1) < least || x.dim(2) < least)
    throw ArgumentError(who, "input " + to_string(x.shape()) + ", expected [N, H, W, C] with sides of " +
                                 std::to_string(least) + " at least");
}

}  // namespace

Tensor<float> fir_downsample(const Context& context, const Tensor<float>& x, Border border) {
  const Profile::Scope scope(context, OpKind::resample);
  check("fir_downsample", x, 2);
  return with_operations(context,
                         [&](const Operations& engine) { return engine.fir_downsample(context, x, border); });
}

Tensor<float> Operations::fir_downsample(const Context& context, const Tensor<float>& x,
                                         Border border) const {
  return resampled(context, x, halving(x.dim(1), border), halving(x.dim(2), border));
}

Tensor<float> fir_upsample(const Context& context, const Tensor<float>& x, Border border) {
  const Profile::Scope scope(context, OpKind::resample);
  check("fir_upsample", x, border == Border::zeros ? 1 : 2);
  return with_operations(context,
                         [&](const Operations& engine) { return engine.fir_upsample(context, x, border); });
}

Tensor<float> Operations::fir_upsample(const Context& context, const Tensor<float>& x, Border border) const {
  return resampled(context, x, doubling(x.dim(1), border), doubling(x.dim(2), border));
}

}  // namespace daguerre::ops
