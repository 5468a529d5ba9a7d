#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "daguerre/ops/blend.hpp"
#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/fir.hpp"
#include "daguerre/ops/space_time.hpp"
#include "support/native_engine.hpp"

namespace daguerre::test {

/// How often each operation was asked for.
class Tally {
 public:
  void count(const std::string& operation) {
    const std::lock_guard lock(mutex_);
    ++calls_[operation];
  }
  /// The calls since the last time.
  std::map<std::string, int> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(calls_, {});
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> calls_;
};

/// What "native" does for T, and a tally of what else is asked for.
template <class T>
class TallyingFor : public AsNative<T> {
 public:
  explicit TallyingFor(std::shared_ptr<Tally> tally) : tally_(std::move(tally)) {}

// Each override counts, and does what the host would do.
#define DAGUERRE_TEST_TALLY(Result, name, parameters, arguments) \
  Result name parameters const override {                        \
    tally_->count(#name);                                        \
    return ops::OperationsFor<T>::name arguments;                \
  }
  DAGUERRE_TEST_TALLY(Tensor<T>, group_norm,
                      (const ops::Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                       const Tensor<float>& beta, int groups, float epsilon, ops::Activation activation,
                       const ops::GroupNormExtras& extras),
                      (context, x, gamma, beta, groups, epsilon, activation, extras))
  DAGUERRE_TEST_TALLY(Tensor<T>, group_norm_rounded,
                      (const ops::Context& context, const Tensor<T>& x, const Tensor<float>& gamma,
                       const Tensor<float>& beta, int groups, float epsilon, ops::Activation activation,
                       const ops::GroupNormExtras& extras),
                      (context, x, gamma, beta, groups, epsilon, activation, extras))
  DAGUERRE_TEST_TALLY(Tensor<T>, layer_norm,
                      (const ops::Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                       const Tensor<float>& beta, float epsilon),
                      (context, x, gamma, beta, epsilon))
  DAGUERRE_TEST_TALLY(Tensor<T>, rms_norm,
                      (const ops::Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                       float epsilon, ops::Activation activation),
                      (context, x, gamma, epsilon, activation))
  DAGUERRE_TEST_TALLY(Tensor<T>, modulated_layer_norm,
                      (const ops::Context& context, const Tensor<float>& x, const ops::ChannelChunk& scale,
                       const ops::ChannelChunk& shift, float epsilon),
                      (context, x, scale, shift, epsilon))
  DAGUERRE_TEST_TALLY(Tensor<T>, joint_modulated_norm,
                      (const ops::Context& context, const Tensor<float>& x, Index prompt_length,
                       const Tensor<float>& gamma, const Tensor<float>& beta, const ops::JointChunk& scale,
                       const ops::JointChunk& shift, float epsilon),
                      (context, x, prompt_length, gamma, beta, scale, shift, epsilon))
  DAGUERRE_TEST_TALLY(Tensor<T>, modulated_rms_norm,
                      (const ops::Context& context, const Tensor<float>& x, const ops::ChannelChunk& scale,
                       const ops::ChannelChunk& shift, float epsilon, ops::Activation activation),
                      (context, x, scale, shift, epsilon, activation))
  DAGUERRE_TEST_TALLY(Tensor<T>, join_heads,
                      (const ops::Context& context, std::span<const ops::HeadStream<T>> streams,
                       Index head_dim, const ops::RotaryTable* rotation),
                      (context, streams, head_dim, rotation))
  DAGUERRE_TEST_TALLY(Tensor<T>, append_tokens,
                      (const ops::Context& context, Tensor<T> store, Index kept,
                       const ops::TokenView<T>& tokens, Index most),
                      (context, std::move(store), kept, tokens, most))
  DAGUERRE_TEST_TALLY(Tensor<T>, gated_activation,
                      (const ops::Context& context, const Tensor<T>& x, ops::Activation activation),
                      (context, x, activation))
  DAGUERRE_TEST_TALLY(Tensor<T>, concat_channels,
                      (const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b),
                      (context, a, b))
  DAGUERRE_TEST_TALLY(Tensor<T>, concat,
                      (const ops::Context& context, std::span<const Tensor<T>> parts, int axis),
                      (context, parts, axis))
  DAGUERRE_TEST_TALLY(Tensor<T>, crop,
                      (const ops::Context& context, const Tensor<T>& x, std::span<const Index> begin,
                       const Shape& extents),
                      (context, x, begin, extents))
  DAGUERRE_TEST_TALLY(Tensor<T>, repeat_edges,
                      (const ops::Context& context, const Tensor<T>& x, Index rows, Index columns),
                      (context, x, rows, columns))
  DAGUERRE_TEST_TALLY(Tensor<T>, swap_axes, (const ops::Context& context, const Tensor<T>& x), (context, x))
  DAGUERRE_TEST_TALLY(Tensor<T>, rounded, (const ops::Context& context, const Tensor<float>& x), (context, x))
  DAGUERRE_TEST_TALLY(Tensor<float>, widened, (const ops::Context& context, const Tensor<T>& x), (context, x))
  DAGUERRE_TEST_TALLY(Tensor<T>, upsample_nearest,
                      (const ops::Context& context, const Tensor<float>& x, Index height, Index width),
                      (context, x, height, width))
  DAGUERRE_TEST_TALLY(Tensor<T>, max_pool,
                      (const ops::Context& context, const Tensor<T>& x, const ops::PoolWindow& window),
                      (context, x, window))
  DAGUERRE_TEST_TALLY(Tensor<T>, average_pool,
                      (const ops::Context& context, const Tensor<T>& x, const ops::PoolWindow& window),
                      (context, x, window))
  DAGUERRE_TEST_TALLY(Tensor<T>, embedding_lookup,
                      (const ops::Context& context, const Tensor<T>& table,
                       std::span<const std::int32_t> ids),
                      (context, table, ids))
  DAGUERRE_TEST_TALLY(Tensor<T>, mapped_embedding_lookup,
                      (const ops::Context& context, const ops::Weight& table,
                       std::span<const std::int32_t> ids),
                      (context, table, ids))
#undef DAGUERRE_TEST_TALLY

 private:
  std::shared_ptr<Tally> tally_;
};

/// An engine of a host's that overrides every operation.
class TallyingEngine final : public ops::Engine, public TallyingFor<float>, public TallyingFor<bfloat16> {
 public:
  explicit TallyingEngine(std::shared_ptr<Tally> tally)
      : TallyingFor<float>(tally), TallyingFor<bfloat16>(tally), tally_(std::move(tally)) {}
  std::string_view name() const noexcept override { return "tallying"; }

#define DAGUERRE_TEST_TALLY(Result, name, parameters, arguments) \
  Result name parameters const override {                        \
    tally_->count(#name);                                        \
    return ops::Operations::name arguments;                      \
  }
  DAGUERRE_TEST_TALLY(Tensor<float>, activate,
                      (const ops::Context& context, const Tensor<float>& x, ops::Activation activation),
                      (context, x, activation))
  DAGUERRE_TEST_TALLY(Tensor<float>, add,
                      (const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b,
                       float scale),
                      (context, a, b, scale))
  DAGUERRE_TEST_TALLY(Tensor<float>, add_gated,
                      (const ops::Context& context, const Tensor<float>& residual,
                       const ops::ChannelChunk& gate, const Tensor<float>& x),
                      (context, residual, gate, x))
  DAGUERRE_TEST_TALLY(Tensor<float>, add_joint_gated,
                      (const ops::Context& context, Tensor<float> residual, Index prompt_length,
                       const ops::JointChunk& gate, const Tensor<float>& x),
                      (context, std::move(residual), prompt_length, gate, x))
  DAGUERRE_TEST_TALLY(Tensor<float>, resize_bilinear,
                      (const ops::Context& context, const Tensor<float>& x, Index height, Index width),
                      (context, x, height, width))
  DAGUERRE_TEST_TALLY(Tensor<float>, resize_bilinear_tf1,
                      (const ops::Context& context, const Tensor<float>& x, Index height, Index width),
                      (context, x, height, width))
  DAGUERRE_TEST_TALLY(Tensor<float>, average_pool_2x2, (const ops::Context& context, const Tensor<float>& x),
                      (context, x))
  DAGUERRE_TEST_TALLY(Tensor<float>, global_average_pool,
                      (const ops::Context& context, const Tensor<float>& x), (context, x))
  DAGUERRE_TEST_TALLY(Tensor<float>, standardise,
                      (const ops::Context& context, const Tensor<float>& x, const Tensor<float>& mean,
                       const Tensor<float>& deviation),
                      (context, x, mean, deviation))
  DAGUERRE_TEST_TALLY(Tensor<float>, direction_distance,
                      (const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b,
                       const Tensor<float>& weights),
                      (context, a, b, weights))
  DAGUERRE_TEST_TALLY(Tensor<float>, fir_downsample,
                      (const ops::Context& context, const Tensor<float>& x, ops::Border border),
                      (context, x, border))
  DAGUERRE_TEST_TALLY(Tensor<float>, fir_upsample,
                      (const ops::Context& context, const Tensor<float>& x, ops::Border border),
                      (context, x, border))
  DAGUERRE_TEST_TALLY(Tensor<float>, scale_low_frequencies,
                      (const ops::Context& context, const Tensor<float>& x, float scale), (context, x, scale))
  DAGUERRE_TEST_TALLY(Tensor<float>, timestep_embedding,
                      (const ops::Context& context, std::span<const float> timesteps, Index width,
                       const ops::TimestepEmbeddingOptions& options),
                      (context, timesteps, width, options))
  DAGUERRE_TEST_TALLY(Tensor<float>, add_to_each,
                      (const ops::Context& context, const Tensor<float>& x, const Tensor<float>& y),
                      (context, x, y))
  DAGUERRE_TEST_TALLY(Tensor<float>, add_rows,
                      (const ops::Context& context, const Tensor<float>& x, const Tensor<float>& rows),
                      (context, x, rows))
  DAGUERRE_TEST_TALLY(Tensor<float>, put_rows,
                      (const ops::Context& context, Tensor<float> x, std::span<const std::int32_t> places,
                       const Tensor<float>& rows),
                      (context, std::move(x), places, rows))
  DAGUERRE_TEST_TALLY(Tensor<float>, weighted_sum,
                      (const ops::Context& context, const Tensor<float>& x, float a, Tensor<float> y,
                       float b),
                      (context, x, a, std::move(y), b))
  DAGUERRE_TEST_TALLY(Tensor<float>, divide_each,
                      (const ops::Context& context, const Tensor<float>& x, std::span<const float> divisors),
                      (context, x, divisors))
  DAGUERRE_TEST_TALLY(Tensor<float>, multiply_add,
                      (const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b,
                       const Tensor<float>& c),
                      (context, a, b, c))
  DAGUERRE_TEST_TALLY(Tensor<float>, affine,
                      (const ops::Context& context, const Tensor<float>& x, float scale, float shift),
                      (context, x, scale, shift))
  DAGUERRE_TEST_TALLY(Tensor<float>, clamp,
                      (const ops::Context& context, const Tensor<float>& x, float low, float high),
                      (context, x, low, high))
  DAGUERRE_TEST_TALLY(Tensor<float>, exponential,
                      (const ops::Context& context, const Tensor<float>& x, float scale), (context, x, scale))
  DAGUERRE_TEST_TALLY(Tensor<float>, full, (const ops::Context& context, const Shape& shape, float value),
                      (context, shape, value))
  DAGUERRE_TEST_TALLY(Tensor<float>, mean, (const ops::Context& context, const Tensor<float>& x, int axis),
                      (context, x, axis))
  DAGUERRE_TEST_TALLY(Tensor<std::int32_t>, nearest_rows,
                      (const ops::Context& context, const Tensor<float>& table, const Tensor<float>& x),
                      (context, table, x))
  DAGUERRE_TEST_TALLY(Tensor<float>, patchify,
                      (const ops::Context& context, const Tensor<float>& x, Index patch,
                       ops::PatchOrder order),
                      (context, x, patch, order))
  DAGUERRE_TEST_TALLY(Tensor<float>, unpatchify,
                      (const ops::Context& context, const Tensor<float>& tokens, Index height, Index width,
                       Index patch, ops::PatchOrder order),
                      (context, tokens, height, width, patch, order))
  DAGUERRE_TEST_TALLY(Tensor<float>, depth_to_space_time,
                      (const ops::Context& context, const Tensor<float>& x, const ops::SpaceTimeBlock& block,
                       ops::DepthOrder order),
                      (context, x, block, order))
  DAGUERRE_TEST_TALLY(Tensor<float>, space_time_to_depth,
                      (const ops::Context& context, const Tensor<float>& x, const ops::SpaceTimeBlock& block,
                       ops::DepthOrder order),
                      (context, x, block, order))
  DAGUERRE_TEST_TALLY(Tensor<float>, add_plane,
                      (const ops::Context& context, Tensor<float> x, const Tensor<float>& plane,
                       const Tensor<float>& scale),
                      (context, std::move(x), plane, scale))
  DAGUERRE_TEST_TALLY(Tensor<float>, duplicate_to_space_time,
                      (const ops::Context& context, const Tensor<float>& x, const ops::SpaceTimeBlock& block,
                       Index channels),
                      (context, x, block, channels))
  DAGUERRE_TEST_TALLY(Tensor<float>, blend,
                      (const ops::Context& context, const Tensor<float>& neighbour, Tensor<float> tile,
                       int axis, Index extent),
                      (context, neighbour, std::move(tile), axis, extent))
  DAGUERRE_TEST_TALLY(Tensor<float>, fourier_features,
                      (const ops::Context& context, const Tensor<float>& x,
                       std::span<const float> frequencies),
                      (context, x, frequencies))
  DAGUERRE_TEST_TALLY(Tensor<float>, fourier_embedding,
                      (const ops::Context& context, std::span<const float> times,
                       const Tensor<float>& frequencies, bool flip_sin_to_cos),
                      (context, times, frequencies, flip_sin_to_cos))
  DAGUERRE_TEST_TALLY(std::vector<ops::NormStatistics::Group>, group_statistics,
                      (const ops::Context& context, std::span<const Tensor<float>> parts, int groups),
                      (context, parts, groups))
#undef DAGUERRE_TEST_TALLY

 private:
  std::shared_ptr<Tally> tally_;
};

}  // namespace daguerre::test
