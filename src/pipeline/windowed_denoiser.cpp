#include <algorithm>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/name.hpp"
#include "pipeline/tile_axis.hpp"
#include "pipeline/tiled_parts.hpp"

namespace daguerre {
namespace {

/// The frames [begin, begin + count) of what has `frames` of them, as films have, or tokens of each frame one
/// behind the other; anything else as it is.
Tensor<float> frames_of(const ops::Context& context, const Tensor<float>& x, Index frames, Index begin,
                        Index count) {
  if (x.rank() == 5 && x.dim(1) == frames) return ops::narrow(context, x, 1, begin, count);
  return x;
}

class WindowedDenoiser final : public Denoiser {
 public:
  WindowedDenoiser(std::shared_ptr<const Denoiser> denoiser, Index frames, Index stride)
      : denoiser_(std::move(denoiser)), info_(denoiser_->info()) {
    info_.largest_frames = 0;  // no window is longer
    // Windows are of whole patches, as the films are.
    const Index multiple = info_.frame_multiple;
    frames_ = (frames + multiple - 1) / multiple * multiple;
    stride_ = std::max(multiple, stride / multiple * multiple);
  }

  const DenoiserInfo& info() const noexcept override { return info_; }

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    if (x.rank() != 5 || x.dim(1) <= frames_) return (*denoiser_)(context, x, timestep, conditioning);
    const Index frames = x.dim(1);
    const auto axis = TileAxis::of(frames, frames_, frames_ - stride_, info_.frame_multiple);
    const auto weights = axis.weights(frames, {.overlap = frames_ - stride_});
    // Where every token has a time of its own they lie one patch's frames behind the other's.
    const Index multiple = info_.frame_multiple, patches = frames / multiple;
    const auto tokens_over = [&](const Tensor<float>& all, Index begin) {
      if (all.rank() != 2 || all.dim(1) % patches != 0) return all;
      const Index each = all.dim(1) / patches;
      return ops::narrow(context, all, 1, begin / multiple * each, axis.size / multiple * each);
    };
    Tensor<float> sum;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      context.check_stop();
      const Index begin = axis.begins[i];
      auto own = conditioning;
      own.concat = frames_of(context, own.concat, frames, begin, axis.size);
      for (auto& [name, extra] : own.extras)
        extra = name == token_timesteps ? tokens_over(extra, begin)
                                        : frames_of(context, extra, frames, begin, axis.size);
      const auto made = (*denoiser_)(context, frames_of(context, x, frames, begin, axis.size), timestep, own);
      if (sum.empty()) sum = Tensor<float>::zeros(x.shape().with(4, made.dim(4)));
      add(sum, made, begin, weights[i]);
    }
    return sum;
  }

 private:
  static void add(Tensor<float>& sum, const Tensor<float>& window, Index begin,
                  const std::vector<float>& weights) {
    const Index frame = window.dim(2) * window.dim(3) * window.dim(4);
    float* const all = sum.data();
    const float* from = window.data();
    for (Index n = 0; n < window.dim(0); ++n)
      for (Index f = 0; f < window.dim(1); ++f) {
        float* const to = all + (n * sum.dim(1) + begin + f) * frame;
        const float weight = weights[static_cast<std::size_t>(f)];
        for (Index i = 0; i < frame; ++i) to[i] += weight * *from++;
      }
  }

  std::shared_ptr<const Denoiser> denoiser_;
  DenoiserInfo info_;
  Index frames_ = 0, stride_ = 0;
};

}  // namespace

std::shared_ptr<const Denoiser> windowed(std::shared_ptr<const Denoiser> denoiser, Index frames,
                                         Index stride) {
  if (frames < 1 || stride < 1 || stride > frames)
    throw ArgumentError(pipeline_name, "windows of " + std::to_string(frames) + " latent frames cannot lie " +
                                           std::to_string(stride) + " apart");
  return std::make_shared<const WindowedDenoiser>(std::move(denoiser), frames, stride);
}

}  // namespace daguerre
