#include "daguerre/ops/spectrum.hpp"

#include <cmath>
#include <numbers>
#include <vector>

#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace {

/// What a frequency contributes to a pixel is a cosine and a sine of the pixel's place.
struct Wave {
  double cosine, sine;
};

/// exp(i * 2 pi * (rows * y / height + columns * x / width)) for each pixel.
std::vector<Wave> waves(Index height, Index width, Index rows, Index columns) {
  std::vector<Wave> result;
  result.reserve(static_cast<std::size_t>(height * width));
  const auto turns = [](Index frequency, Index place, Index size) {
    return static_cast<double>(frequency * place) / static_cast<double>(size);
  };
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      const double angle = 2.0 * std::numbers::pi * (turns(rows, y, height) + turns(columns, x, width));
      result.push_back({std::cos(angle), std::sin(angle)});
    }
  return result;
}

/// -1 and 0; they are the same where there is one pixel.
std::vector<Index> lowest_frequencies(Index size) {
  return size == 1 ? std::vector<Index>{0} : std::vector<Index>{-1, 0};
}

}  // namespace

Tensor<float> scale_low_frequencies(const Context& context, const Tensor<float>& x, float scale) {
  const Profile::Scope scope(context, OpKind::add);
  if (x.rank() != 4 || x.empty())
    throw ArgumentError("scale_low_frequencies", to_string(x.shape()) + ", expected [N, H, W, C]");
  return with_operations(
      context, [&](const Operations& engine) { return engine.scale_low_frequencies(context, x, scale); });
}

Tensor<float> Operations::scale_low_frequencies(const Context& context, const Tensor<float>& x,
                                                float scale) const {
  const Index height = x.dim(1), width = x.dim(2), channels = x.dim(3), pixels = height * width;
  std::vector<std::vector<Wave>> found;
  for (const Index rows : lowest_frequencies(height))
    for (const Index columns : lowest_frequencies(width))
      found.push_back(waves(height, width, rows, columns));
  // Added to x: (scale - 1) times its part in these frequencies, which is a projection onto their waves.
  const double factor = (static_cast<double>(scale) - 1.0) / static_cast<double>(pixels);
  auto y = context.empty<float>(x.shape());
  constexpr Index chunk = 16;  // channels side by side, so that pixels are read in pieces of a cache line
  const Index chunks = (channels + chunk - 1) / chunk;
  parallel_for(context.threads, x.dim(0) * chunks, 1, [&](Index begin, Index end) {
    for (Index part = begin; part < end; ++part) {
      const Index first = part % chunks * chunk, count = std::min(chunk, channels - first);
      const float* in = x.data() + part / chunks * pixels * channels + first;
      float* out = y.data() + part / chunks * pixels * channels + first;
      std::vector<Wave> sums(found.size() * chunk, Wave{0.0, 0.0});
      for (std::size_t f = 0; f < found.size(); ++f)
        for (Index p = 0; p < pixels; ++p) {
          const Wave wave = found[f][static_cast<std::size_t>(p)];
          for (Index c = 0; c < count; ++c) {
            const auto value = static_cast<double>(in[p * channels + c]);
            auto& sum = sums[f * chunk + static_cast<std::size_t>(c)];
            sum.cosine += value * wave.cosine;
            sum.sine += value * wave.sine;
          }
        }
      for (Index p = 0; p < pixels; ++p)
        for (Index c = 0; c < count; ++c) {
          double low = 0.0;
          for (std::size_t f = 0; f < found.size(); ++f) {
            const Wave wave = found[f][static_cast<std::size_t>(p)];
            const auto& sum = sums[f * chunk + static_cast<std::size_t>(c)];
            low += sum.cosine * wave.cosine + sum.sine * wave.sine;
          }
          out[p * channels + c] =
              static_cast<float>(static_cast<double>(in[p * channels + c]) + factor * low);
        }
    }
  });
  return y;
}

}  // namespace daguerre::ops
